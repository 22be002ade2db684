/* The I/O thread with a C application behind the seam: every request ends exactly once,
 * whatever the client does. SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/msg.h"
#include "tests/unit/support/fake_app.h"
#include "worker/channel.h"
#include "worker/logw.h"
#include "worker/net/net.h"
#include "worker/worker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>

static struct worker worker;
static struct net net;
static pthread_t io;
static int master_end;
static struct sockaddr_in where;

static void *
io_main(void *arg)
{
	(void)arg;
	net_run(&net);
	return NULL;
}

static int
listen_somewhere(void)
{
	socklen_t len = sizeof(where);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	where = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof(where)), 0);
	assert_int_equal(listen(fd, 128), 0);
	getsockname(fd, (struct sockaddr *)&where, &len);
	return fd;
}

static int
server_start(void **state)
{
	struct heritage *h = &worker.heritage;
	struct err e;
	int pair[2], fd, null = open("/dev/null", O_WRONLY),
			 null2 = open("/dev/null", O_WRONLY);

	(void)state;
	memset(&worker, 0, sizeof(worker));
	conf_init(&h->conf);
	h->conf.head_timeout = 400;
	h->conf.timeout = 600;
	h->workers = 1;
	h->n_listeners = 1;
	h->listeners = calloc(1, sizeof(*h->listeners));
	h->listeners[0].fd = listen_somewhere();
	worker.seg = seg_create(0, 1, 1, &fd, &e);
	assert_non_null(worker.seg);
	close(fd);
	worker.board = board_create(&fd, &e);
	assert_non_null(worker.board);
	close(fd);
	logw_init(null, null2);
	assert_int_equal(logw_start(), 0);
	assert_int_equal(msg_pair(pair, &e), 0);
	master_end = pair[0];
	assert_int_equal(dup2(pair[1], HERITAGE_CHANNEL_FD), HERITAGE_CHANNEL_FD);
	close(pair[1]);
	if (net_init(&net, &worker, &fake_app_ops, &e) < 0 || channel_open(&net, &e) < 0)
		fail_msg("%s", e.text);
	fake_app_start();
	assert_int_equal(pthread_create(&io, NULL, io_main, NULL), 0);
	return 0;
}

static int
server_stop(void **state)
{
	const struct msg_drain order = {.graceful_ms = 2000, .accept = 1};

	(void)state;
	assert_int_equal(
	    msg_send(master_end, MSG_DRAIN, &order, sizeof(order), NULL, 0), 0);
	fake_app_join();
	atomic_store(&net.app_gone, true);
	net_wake(&net);
	pthread_join(io, NULL);
	assert_int_equal(net.n_conns, 0);
	assert_int_equal(net.n_reqs, 0);
	assert_int_equal(fake_counts.started, fake_counts.done);
	channel_close();
	net_finish(&net);
	close(master_end);
	logw_stop(1000);
	board_close(worker.board);
	seg_close(worker.seg);
	heritage_finish(&worker.heritage);
	return 0;
}

static int
client(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&where, sizeof(where)), 0);
	return fd;
}

static void
send_all(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Reads until the end of the connection or until `want` bytes are there; returns how many.
 */
static size_t
receive(int fd, char *buf, size_t want)
{
	size_t n = 0;

	while (n < want) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (poll(&p, 1, 5000) <= 0)
			fail_msg("no answer within 5 s; %zu of %zu bytes", n, want);
		got = recv(fd, buf + n, want - n, 0);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	buf[n] = '\0';
	return n;
}

static const char hello_answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
#define HELLO_LEN (sizeof(hello_answer) - 1)
#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"

/* The server keeps up with this many of what it counts, or the test fails after 5 s. */
static void
wait_for(_Atomic int *counter, int value)
{
	for (int i = 0; i < 5000; i++) {
		if (atomic_load(counter) >= value)
			return;
		poll(NULL, 0, 1);
	}
	fail_msg("counter is %d, not %d", atomic_load(counter), value);
}

static void
test_keep_alive_and_pipelining(void **state)
{
	char buf[4096], want[4096] = "";
	int fd = client();

	(void)state;
	for (int i = 0; i < 3; i++) {
		send_all(fd, GET("/hello"));
		assert_int_equal(receive(fd, buf, HELLO_LEN), HELLO_LEN);
		assert_string_equal(buf, hello_answer);
	}
	send_all(fd, GET("/hello") GET("/hook") GET("/hello") GET("/hello"));
	for (int i = 0; i < 4; i++)
		strcat(want, hello_answer);
	assert_int_equal(receive(fd, buf, strlen(want)), strlen(want));
	assert_string_equal(buf, want);
	close(fd);
	wait_for(&fake_counts.done, 7);
	assert_int_equal(fake_counts.ended, 1);
}

static void
test_byte_by_byte(void **state)
{
	static const char text[] =
	    "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked"
	    "\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n";
	char buf[4096];
	int fd = client();

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		assert_int_equal(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
	receive(fd, buf, HELLO_LEN + 3);
	assert_non_null(strstr(buf, "00000007"));
	close(fd);
}

static void
test_back_pressure(void **state)
{
	static char buf[8388608 + 100];
	int fd = client();

	(void)state;
	send_all(fd, GET("/big"));
	assert_true(receive(fd, buf, 8388608 + 44) > 8388608);
	close(fd);
	wait_for(&fake_counts.done, 1);
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
		int fd = client();

		send_all(fd, paths[i % ARRAY_LEN(paths)]);
		if (i % 2)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
	/* Somebody else is served as if nothing had been. */
	begun = client();
	send_all(begun, GET("/hello"));
	send_all(begun, GET("/never"));
	{
		char buf[4096];

		assert_int_equal(receive(begun, buf, HELLO_LEN), HELLO_LEN);
		/* --timeout answers for an application that does not. */
		receive(begun, buf, sizeof(buf) - 1);
		assert_non_null(strstr(buf, "HTTP/1.1 504 "));
	}
	close(begun);
	wait_for(&fake_counts.aborted, 1);
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
		int fd = client();

		send_all(fd, rows[i].send);
		receive(fd, buf, sizeof(buf) - 1); /* to the end of the connection */
		if (strstr(buf, rows[i].status) == NULL)
			fail_msg("row %zu: %s", i, buf);
		close(fd);
	}
}

static void
test_continue(void **state)
{
	char buf[4096];
	int fd = client();

	(void)state;
	send_all(fd, "POST /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
		     "Content-Length: 3\r\n\r\n");
	assert_int_equal(receive(fd, buf, 25), 25);
	assert_string_equal(buf, "HTTP/1.1 100 Continue\r\n\r\n");
	send_all(fd, "abc");
	receive(fd, buf, HELLO_LEN + 3);
	assert_non_null(strstr(buf, "00000003"));
	close(fd);
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
	    SERVED(test_refusals),
	    SERVED(test_continue),
	};

	return cmocka_run_group_tests_name("net_serve", tests, NULL, NULL);
}
