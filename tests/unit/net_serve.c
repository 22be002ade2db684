/* The I/O thread with a C application behind the seam: every request ends exactly once,
 * whatever the client does. SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support/net_server.h"

#include <poll.h>
#include <stdio.h>

static const char hello_answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
#define HELLO_LEN (sizeof(hello_answer) - 1)
#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"

static void
test_keep_alive_and_pipelining(void **state)
{
	char buf[4096], want[4096] = "";
	int fd = net_server_client();

	(void)state;
	for (int i = 0; i < 3; i++) {
		net_server_send(fd, GET("/hello"));
		assert_int_equal(net_server_receive(fd, buf, HELLO_LEN), HELLO_LEN);
		assert_string_equal(buf, hello_answer);
	}
	net_server_send(fd, GET("/hello") GET("/hook") GET("/hello") GET("/hello"));
	for (int i = 0; i < 4; i++)
		strcat(want, hello_answer);
	assert_int_equal(net_server_receive(fd, buf, strlen(want)), strlen(want));
	assert_string_equal(buf, want);
	close(fd);
	net_server_wait(&fake_counts.done, 7);
	assert_int_equal(fake_counts.ended, 1);
}

static void
test_byte_by_byte(void **state)
{
	static const char text[] =
	    "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked"
	    "\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n";
	char buf[4096];
	int fd = net_server_client();

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		assert_int_equal(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
	net_server_receive(fd, buf, HELLO_LEN + 3);
	assert_non_null(strstr(buf, "00000007"));
	close(fd);
}

static void
test_back_pressure(void **state)
{
	static char buf[8388608 + 100];
	int fd = net_server_client();

	(void)state;
	net_server_send(fd, GET("/big"));
	assert_true(net_server_receive(fd, buf, 8388608 + 44) > 8388608);
	close(fd);
	net_server_wait(&fake_counts.done, 1);
}

static void
test_client_leaves(void **state)
{
	static const char *const paths[] = {GET("/big"), GET("/borrow"), GET("/hook"),
	    GET("/hello"), GET("/stream"),
	    "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nabc"};
	const struct linger reset = {1, 0};
	int begun = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths) * 20; i++) {
		int fd = net_server_client();

		net_server_send(fd, paths[i % ARRAY_LEN(paths)]);
		if (i % 2)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
	/* Somebody else is served as if nothing had been. */
	begun = net_server_client();
	net_server_send(begun, GET("/hello"));
	net_server_send(begun, GET("/never"));
	{
		char buf[4096];

		assert_int_equal(net_server_receive(begun, buf, HELLO_LEN), HELLO_LEN);
		/* --timeout answers for an application that does not. */
		net_server_receive(begun, buf, sizeof(buf) - 1);
		assert_non_null(strstr(buf, "HTTP/1.1 504 "));
	}
	close(begun);
	net_server_wait(&fake_counts.aborted, 1);
}

/* The payload of the next message of this type, for free(). */
static char *
hear(enum msg_type type)
{
	const struct msg *m;

	do
		m = net_server_heard();
	while (m->type != type);
	return memcpy(calloc(1, m->n + 1), m->payload, m->n);
}

static void
test_own_deadline_and_stuck(void **state)
{
	const int overdue = fake_counts.overdue, done = fake_counts.done;
	char buf[4096], *text;
	int fd = net_server_client();

	(void)state;
	atomic_store(&fake_let_go, 0);
	net_server_send(fd, GET("/soon"));
	net_server_receive(fd, buf, sizeof(buf) - 1);
	assert_non_null(strstr(buf, "HTTP/1.1 504 "));
	close(fd);
	net_server_wait(&fake_counts.overdue, overdue + 1);
	text = hear(MSG_STUCK);
	assert_string_equal(text, "GET /soon");
	free(text);
	atomic_store(&fake_let_go, 1);
	net_server_wait(&fake_counts.done, done + 1);
}

/* The time of an application whose client left runs on. */
static void
test_deadline_without_a_client(void **state)
{
	const int overdue = fake_counts.overdue, started = fake_counts.started;
	int fd = net_server_client();

	(void)state;
	atomic_store(&fake_let_go, 0);
	net_server_send(fd, GET("/soon"));
	net_server_wait(&fake_counts.started, started + 1);
	close(fd);
	net_server_wait(&fake_counts.overdue, overdue + 1);
	atomic_store(&fake_let_go, 1);
}

static void
test_refusals(void **state)
{
	static const struct {
		const char *send, *status;
	} rows[] = {
	    {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
	    {"GET / HTTP/3.0\r\nHost: t\r\n\r\n", "HTTP/1.1 505 "},
	    {"GET / HTTP/1.1\r\nHo", "HTTP/1.1 408 "},
	    {"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 400 "},
	    {GET("/cut"), "12345"},
	};
	char buf[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int fd = net_server_client();

		net_server_send(fd, rows[i].send);
		net_server_receive(
		    fd, buf, sizeof(buf) - 1); /* to the end of the connection */
		if (strstr(buf, rows[i].status) == NULL)
			fail_msg("row %zu: %s", i, buf);
		close(fd);
	}
}

static void
test_continue(void **state)
{
	char buf[4096];
	int fd = net_server_client();

	(void)state;
	net_server_send(fd, "POST /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
			    "Content-Length: 3\r\n\r\n");
	assert_int_equal(net_server_receive(fd, buf, 25), 25);
	assert_string_equal(buf, "HTTP/1.1 100 Continue\r\n\r\n");
	net_server_send(fd, "abc");
	net_server_receive(fd, buf, HELLO_LEN + 3);
	assert_non_null(strstr(buf, "00000003"));
	close(fd);
}

static int
server_start(void **state)
{
	(void)state;
	net_server_open();
	worker.heritage.conf.head_timeout = 400;
	worker.heritage.conf.timeout = 600;
	worker.heritage.conf.stuck_grace = 200;
	net_server_run();
	return 0;
}

static int
server_stop(void **state)
{
	const struct msg_drain order = {.graceful_ms = 2000, .accept = 1};

	(void)state;
	net_server_tell(MSG_DRAIN, &order, sizeof(order));
	net_server_join();
	return 0;
}

#define SERVED(f) cmocka_unit_test_setup_teardown(f, server_start, server_stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SERVED(test_keep_alive_and_pipelining),
	    SERVED(test_byte_by_byte),
	    SERVED(test_back_pressure),
	    SERVED(test_client_leaves),
	    SERVED(test_own_deadline_and_stuck),
	    SERVED(test_deadline_without_a_client),
	    SERVED(test_refusals),
	    SERVED(test_continue),
	};

	return cmocka_run_group_tests_name("net_serve", tests, NULL, NULL);
}
