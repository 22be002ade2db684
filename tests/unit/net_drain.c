/* How a worker steps back, seen by its clients: drained beside others, drained as the last,
 * parked and resumed. SPDX-License-Identifier: MIT */
#include "tests/unit/support/net_server.h"

#include "common/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"
#define CLOSES "\r\nConnection: close\r\n"

static void
start(bool parked)
{
	net_server_open();
	worker.heritage.parked = parked;
	worker.heritage.conf.health_path = strdup("/health");
	net_server_run();
}

static int
on_setup(void **state)
{
	(void)state;
	start(false);
	return 0;
}

static void
drain(uint32_t graceful_ms, uint32_t idle_ms, uint32_t accept)
{
	const struct msg_drain order = {graceful_ms, idle_ms, accept};

	net_server_tell(MSG_DRAIN, &order, sizeof(order));
	net_server_wait_accepting(false);
}

static void
park(uint32_t announce)
{
	net_server_tell(MSG_PARK, &announce, sizeof(announce));
}

/* One answer from fd: true when it announces the end of the connection. */
static bool
answered(int fd, const char *status)
{
	char buf[1024];
	size_t n = 0;
	const char *body;

	do {
		size_t got = net_server_receive(fd, buf + n, 1);

		if (got == 0)
			fail_msg("the connection ended, no answer: %s", buf);
		n += got;
	} while ((body = strstr(buf, "\r\n\r\n")) == NULL);
	n = (size_t)atoi(strstr(buf, "Content-Length: ") + 16);
	if (strncmp(buf + 9, status, 3) != 0)
		fail_msg("not %s: %s", status, buf);
	assert_non_null(body);
	{
		bool closes = strstr(buf, CLOSES) != NULL;

		assert_int_equal(net_server_receive(fd, buf, n), n);
		return closes;
	}
}

static bool
asked(int fd, const char *request)
{
	net_server_send(fd, request);
	return answered(fd, "200");
}

static void
ends(int fd)
{
	char buf[2];

	assert_int_equal(net_server_receive(fd, buf, 1), 0);
	close(fd);
}

static bool
quiet(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 0;
}

static void
test_others_stay(void **state)
{
	int used = net_server_client(), idle = net_server_client(), fresh, late;
	int64_t before;
	struct pollfd queued = {.fd = master_listener, .events = POLLIN};

	(void)state;
	assert_false(asked(used, GET("/hello")));
	before = net_server_now();
	assert_false(asked(idle, GET("/hello")));
	fresh = net_server_client();
	net_server_wait_stat(STAT_connections, 3);
	drain(5000, 500, 0);
	late = net_server_client();
	assert_true(asked(used, GET("/hello")));
	assert_true(asked(fresh, GET("/hello")));
	ends(used);
	ends(fresh);
	ends(idle);
	assert_in_range(net_server_now() - before, 500, 3000);
	/* Who came after the drain is another worker's. */
	net_server_send(late, GET("/hello"));
	assert_int_equal(poll(&queued, 1, 5000), 1);
	used = accept(master_listener, NULL, NULL);
	assert_true(quiet(late, 0));
	close(used);
	ends(late);
	net_server_join();
}

static void
test_idle_for_long(void **state)
{
	int fd = net_server_client();
	int64_t before;

	(void)state;
	assert_false(asked(fd, GET("/hello")));
	assert_true(quiet(fd, 500));
	before = net_server_now();
	drain(5000, 450, 0);
	ends(fd);
	assert_in_range(net_server_now() - before, 0, 400);
	net_server_join();
}

static void
test_nobody_stays(void **state)
{
	int idle = net_server_client(), half = net_server_client(), queued;
	int64_t before;

	(void)state;
	assert_false(asked(idle, GET("/hello")));
	net_server_send(half, "GET /hello HTTP/1.1\r\nHo");
	net_server_wait_stat(STAT_connections, 2);
	before = net_server_now();
	fake_stall_ms = 100; /* still in the accept queue when the order comes */
	queued = net_server_client();
	net_server_send(queued, GET("/hello"));
	drain(5000, 0, 1);
	ends(idle);
	assert_in_range(net_server_now() - before, 0, 1000);
	assert_true(answered(queued, "200"));
	net_server_send(half, "st: t\r\n\r\n");
	assert_true(answered(half, "200"));
	ends(queued);
	ends(half);
	net_server_join();
}

static void
test_time_is_over(void **state)
{
	int fd = net_server_client(), stuck = net_server_client();

	(void)state;
	net_server_send(fd, "GET /hello HTTP/1.1\r\nHo");
	net_server_send(stuck, GET("/never"));
	net_server_wait(&fake_counts.started, 1);
	net_server_wait_stat(STAT_connections, 2);
	drain(60000, 60000, 0);
	drain(300, 0, 1); /* makes it shorter */
	ends(fd);
	ends(stuck);
	net_server_join();
}

static _Atomic int loops_answered, loops_closed;

/* A client that asks again as soon as it was answered. */
static void *
closed_loop(void *arg)
{
	int fd = *(int *)arg;
	bool closes;

	do {
		closes = asked(fd, GET("/hello"));
		atomic_fetch_add(&loops_answered, 1);
	} while (!closes);
	ends(fd);
	atomic_fetch_add(&loops_closed, 1);
	return NULL;
}

static void
test_closed_loop(void **state)
{
	pthread_t threads[16];
	int fds[ARRAY_LEN(threads)];

	(void)state;
	loops_answered = loops_closed = 0;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		fds[i] = net_server_client();
		pthread_create(&threads[i], NULL, closed_loop, &fds[i]);
	}
	net_server_wait(&loops_answered, 500);
	assert_int_equal(loops_closed, 0);
	drain(5000, 2000, 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(loops_closed, ARRAY_LEN(threads));
	net_server_join();
}

static void
test_parked_from_the_start(void **state)
{
	int fd;

	(void)state;
	start(true);
	fd = net_server_client();
	net_server_send(fd, GET("/hello"));
	assert_true(quiet(fd, 300));
	net_server_wait_accepting(false);
	net_server_tell(MSG_RESUME, NULL, 0);
	net_server_wait_accepting(true);
	assert_false(answered(fd, "200"));
	close(fd);
	drain(2000, 0, 1);
	net_server_join();
}

/* An answer whose head had not gone says that it is the last one; after one whose head had
 * gone there is one more. */
static void
test_answers_under_way(void **state)
{
	(void)state;
	for (int late = 0; late < 2; late++) {
		int fd;

		start(false);
		fd = net_server_client();
		net_server_send(fd, late ? GET("/late") : GET("/gate"));
		net_server_wait(&fake_counts.started, 1);
		if (!late)
			assert_false(quiet(fd, 5000));
		drain(5000, 2000, 0);
		atomic_store(&fake_gate, 1);
		assert_int_equal(answered(fd, "200"), late);
		if (!late)
			assert_true(asked(fd, GET("/hello")));
		ends(fd);
		net_server_join();
	}
}

static void
test_park_and_resume(void **state)
{
	int fd = net_server_client(), late;

	(void)state;
	assert_false(asked(fd, GET("/hello")));
	park(0);
	net_server_wait_accepting(false);
	late = net_server_client();
	net_server_send(late, GET("/hello"));
	assert_false(asked(fd, GET("/hello"))); /* goes on being served */
	assert_false(asked(fd, GET("/health")));
	assert_true(quiet(late, 250));
	net_server_tell(MSG_RESUME, NULL, 0);
	assert_false(answered(late, "200"));
	net_server_wait_accepting(true);
	close(fd);
	close(late);
	drain(2000, 0, 1);
	net_server_join();
}

static void
test_park_announced(void **state)
{
	int asks = net_server_client(), idle = net_server_client(), back;
	int64_t before;

	(void)state;
	assert_false(asked(asks, GET("/hello")));
	before = net_server_now();
	assert_false(asked(idle, GET("/hello")));
	park(1);
	net_server_wait_accepting(false);
	assert_true(asked(asks, GET("/hello")));
	ends(asks);
	ends(idle);
	assert_in_range(net_server_now() - before, 2000, 4000);
	/* It never ends by itself, and takes everything back. */
	net_server_tell(MSG_RESUME, NULL, 0);
	back = net_server_client();
	assert_false(asked(back, GET("/hello")));
	park(1);
	park(0);
	net_server_wait_accepting(false);
	assert_false(asked(back, GET("/hello")));
	assert_int_equal(net.timers[TIMER_KEEPALIVE].after_ns,
	    (uint64_t)worker.heritage.conf.keep_alive * 1000000u);
	close(back);
	drain(2000, 0, 0);
	net_server_join();
}

static void
test_instance_drains(void **state)
{
	int fd = net_server_client();

	(void)state;
	atomic_store(&worker.board->draining, 1);
	assert_true(asked(fd, GET("/hello")));
	ends(fd);
	fd = net_server_client();
	net_server_send(fd, GET("/health"));
	assert_true(answered(fd, "503"));
	ends(fd);
	atomic_store(&worker.board->draining, 0);
	fd = net_server_client();
	assert_false(asked(fd, GET("/health")));
	close(fd);
	drain(2000, 0, 1);
	net_server_join();
}

/* Load balancers leave when the instance ends, not when one worker is replaced. */
static void
test_health_in_a_drain(void **state)
{
	(void)state;
	for (uint32_t last = 0; last < 2; last++) {
		int fd;

		start(false);
		fd = net_server_client();
		net_server_send(fd, "GET /health HTTP/1.1\r\nHo");
		net_server_wait_stat(STAT_connections, 1);
		drain(5000, 0, last);
		net_server_send(fd, "st: t\r\n\r\n");
		assert_true(answered(fd, last ? "503" : "200"));
		ends(fd);
		net_server_join();
	}
}

static void
test_level(void **state)
{
	const uint32_t debug = LOG_LVL_DEBUG, info = LOG_LVL_INFO, none = 77;

	(void)state;
	net_server_tell(MSG_LEVEL, &debug, sizeof(debug));
	while (!log_enabled(LOG_LVL_DEBUG))
		poll(NULL, 0, 1);
	net_server_tell(MSG_LEVEL, &info, sizeof(info));
	net_server_tell(MSG_LEVEL, &none, sizeof(none));
	net_server_tell(MSG_LEVEL, &info, 1); /* half a number says nothing */
	drain(2000, 0, 1);
	net_server_join();
	assert_true(log_enabled(LOG_LVL_INFO) && !log_enabled(LOG_LVL_DEBUG));
}

#define SERVED(f) cmocka_unit_test_setup(f, on_setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SERVED(test_others_stay),
	    SERVED(test_idle_for_long),
	    SERVED(test_nobody_stays),
	    SERVED(test_time_is_over),
	    SERVED(test_closed_loop),
	    cmocka_unit_test(test_answers_under_way),
	    cmocka_unit_test(test_parked_from_the_start),
	    SERVED(test_park_and_resume),
	    SERVED(test_park_announced),
	    SERVED(test_instance_drains),
	    cmocka_unit_test(test_health_in_a_drain),
	    SERVED(test_level),
	};

	return cmocka_run_group_tests_name("net_drain", tests, NULL, NULL);
}
