/* What the client acknowledged: every answer's number becomes final exactly once, is never
 * more than what was sent, and is right when the client took all of it.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support/net_server.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"
#define LAST(path) "GET " path " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
#define ANSWER_LEN 43
#define LINGER_MS 300

static char buf[1 << 24];

/* So that the server's kernel keeps what this one does not read. */
static int
narrow_client(void)
{
	return net_server_client_with(4096);
}

/* Hardly more than a few answers. */
static int
tiny_client(void)
{
	return net_server_client_with(1);
}

/* What this end's kernel has, read or not. */
static uint64_t
received_by(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_bytes_received;
}

static void
leave(int fd)
{
	const struct linger reset = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

/* What accounts were told, all together. */
static uint64_t
undelivered(void)
{
	struct acct_view v;
	uint64_t n = 0;

	for (uint32_t row = 0; row < acct_used(&worker.accounts); row++)
		if (acct_read(&worker.accounts, row, &v))
			n += v.value[ACCT_out_undelivered];
	return n;
}

static void
expect_whole(int answers)
{
	net_server_wait(&fake_counts.awaited, answers);
	assert_int_equal(fake_counts.awaited, answers);
	assert_true(fake_counts.sent > 0);
	assert_int_equal(fake_counts.acked, fake_counts.sent);
}

/* The reset overtakes the last acknowledgements, and what the client's kernel has not
 * handed out was acknowledged as well. */
static void
expect_near(uint64_t got)
{
	assert_true(fake_counts.acked + 131072 >= got);
	assert_true(fake_counts.acked <= got + 131072);
}

/* Nothing comes from it any more: the server has to ask by itself. */
static void
test_silent_client(void **state)
{
	int fd = net_server_client();

	(void)state;
	net_server_send(fd, GET("/await"));
	assert_int_equal(net_server_receive(fd, buf, ANSWER_LEN), ANSWER_LEN);
	expect_whole(1);
	assert_int_equal(undelivered(), 0);
	assert_int_equal(fake_counts.sent, ANSWER_LEN);
	close(fd);
}

static void
test_persistent_client(void **state)
{
	int fd = net_server_client();

	(void)state;
	for (int i = 0; i < 5; i++) {
		net_server_send(fd, GET("/await") GET("/hello") GET("/hook"));
		net_server_receive(fd, buf, ANSWER_LEN * 3);
	}
	expect_whole(5);
	assert_int_equal(undelivered(), 0);
	close(fd);
}

static void
test_whole_download(void **state)
{
	int fd = net_server_client();
	size_t n;

	(void)state;
	net_server_send(fd, LAST("/await-big"));
	n = net_server_receive(fd, buf, sizeof(buf) - 1);
	n += net_server_receive(fd, buf, sizeof(buf) - 1);
	close(fd);
	expect_whole(1);
	assert_int_equal(undelivered(), 0);
	assert_int_equal(fake_counts.sent, n);
}

static void
test_cut_answer(void **state)
{
	int fd = net_server_client();
	size_t n;

	(void)state;
	net_server_send(fd, GET("/await-cut"));
	n = net_server_receive(fd, buf, sizeof(buf) - 1);
	close(fd);
	expect_whole(1);
	assert_int_equal(undelivered(), 0);
	assert_int_equal(fake_counts.sent, n);
}

/* It says early that it will ask no more, and takes its time for the answers. */
static void
test_half_closed_client(void **state)
{
	int fd = tiny_client();

	(void)state;
	for (int i = 0; i < 60; i++)
		net_server_send(fd, GET("/await"));
	shutdown(fd, SHUT_WR);
	net_server_wait(&fake_counts.ended, 60);
	poll(NULL, 0, LINGER_MS / 2);
	assert_int_equal(net_server_receive(fd, buf, 61 * ANSWER_LEN), 60 * ANSWER_LEN);
	expect_whole(60);
	assert_int_equal(undelivered(), 0);
	close(fd);
}

/* It leaves when the server has nothing left to send: no write will fail. */
static void
test_leaves_after_the_last_send(void **state)
{
	int fd = net_server_client_with(65536);
	uint64_t got = 0;

	(void)state;
	net_server_send(fd, GET("/await-big"));
	while (fake_counts.ended == 0) {
		got += net_server_receive(fd, buf, 4096);
		poll(NULL, 0, 1); /* slower than the server, so that some is left */
	}
	leave(fd);
	net_server_wait(&fake_counts.awaited, 1);
	assert_true(fake_counts.acked < fake_counts.sent);
	expect_near(got);
	assert_int_equal(undelivered(), fake_counts.sent - fake_counts.acked);
}

/* No more comes: from here on what the server sends stays with its kernel. */
static void
wait_until_full(int fd)
{
	int before = 0, unread = 0;

	do {
		before = unread;
		poll(NULL, 0, 20);
		assert_int_equal(ioctl(fd, FIONREAD, &unread), 0);
	} while (unread == 0 || unread != before);
}

static void
test_leaves_in_the_middle(void **state)
{
	int fd = narrow_client();
	size_t got;

	(void)state;
	net_server_send(fd, GET("/await-big"));
	got = net_server_receive(fd, buf, 1 << 20);
	wait_until_full(fd);
	leave(fd);
	net_server_wait(&fake_counts.awaited, 1);
	assert_true(fake_counts.acked < fake_counts.sent);
	expect_near(got);
	assert_int_equal(undelivered(), fake_counts.sent - fake_counts.acked);
}

/* More answers than are kept track of: the oldest are given up, none is forgotten. */
static void
test_many_answers_under_way(void **state)
{
	int fd = narrow_client();

	(void)state;
	for (int i = 0; i < 500; i++)
		net_server_send(fd, GET("/await"));
	net_server_wait(&fake_counts.awaited, 400);
	assert_int_equal(net_server_receive(fd, buf, 500 * ANSWER_LEN), 500 * ANSWER_LEN);
	expect_whole(500);
	close(fd);
	net_server_wait(&fake_counts.done, 500);
}

/* Nobody waits for the numbers of these: what was not delivered is found at the end. */
static void
test_accounts_alone(void **state)
{
	int whole = net_server_client(), fd = tiny_client();

	(void)state;
	for (int i = 0; i < 100; i++) {
		net_server_send(whole, GET("/hello"));
		net_server_receive(whole, buf, ANSWER_LEN);
	}
	close(whole);
	for (int i = 0; i < 100; i++)
		net_server_send(fd, GET("/hello"));
	net_server_wait(&fake_counts.done, 200);
	leave(fd);
	for (int i = 0; i < 5000 && undelivered() == 0; i++)
		poll(NULL, 0, 1);
	assert_true(undelivered() > 0);
	assert_true(undelivered() <= 100 * ANSWER_LEN);
}

static void
test_billed_as_sent(void **state)
{
	int fd = net_server_client();

	(void)state;
	net_server_send(fd, GET("/await-big"));
	net_server_receive(fd, buf, 1 << 20);
	leave(fd);
	net_server_wait(&fake_counts.awaited, 1);
	assert_int_equal(undelivered(), 0);
}

/* The end of the last answer stays where it is: that is not waited for without end. */
static void
test_reads_no_more(void **state)
{
	int fd = tiny_client();

	(void)state;
	for (int i = 0; i < 60; i++)
		net_server_send(fd, i < 59 ? GET("/await") : LAST("/await"));
	net_server_wait(&fake_counts.awaited, 60);
	assert_true(fake_counts.acked < fake_counts.sent);
	/* To the byte, with the FIN behind them. */
	assert_int_equal(
	    undelivered(), 59 * ANSWER_LEN + fake_counts.sent - received_by(fd));
	close(fd);
}

static int
server_start(void **state)
{
	(void)state;
	net_server_open();
	worker.heritage.conf.linger_timeout = LINGER_MS;
	net_server_run();
	return 0;
}

static int
server_start_sent(void **state)
{
	(void)state;
	net_server_open();
	free(worker.heritage.conf.billing_basis);
	worker.heritage.conf.billing_basis = strdup("sent");
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

/* The graceful time is over while an answer is under way, and one is not acknowledged. */
static void
test_stop(void **state)
{
	const struct msg_drain order = {.graceful_ms = 100};
	int fd, other;

	server_start(state);
	fd = narrow_client();
	other = tiny_client();
	net_server_send(fd, GET("/await-big"));
	for (int i = 0; i < 60; i++)
		net_server_send(other, GET("/await"));
	net_server_receive(fd, buf, 4096);
	net_server_wait(&fake_counts.ended, 60);
	net_server_tell(MSG_DRAIN, &order, sizeof(order));
	net_server_join();
	assert_int_equal(fake_counts.awaited, 61);
	close(fd);
	close(other);
}

#define SERVED(f) cmocka_unit_test_setup_teardown(f, server_start, server_stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SERVED(test_silent_client),
	    SERVED(test_persistent_client),
	    SERVED(test_whole_download),
	    SERVED(test_cut_answer),
	    SERVED(test_half_closed_client),
	    SERVED(test_leaves_after_the_last_send),
	    SERVED(test_leaves_in_the_middle),
	    SERVED(test_many_answers_under_way),
	    SERVED(test_reads_no_more),
	    SERVED(test_accounts_alone),
	    cmocka_unit_test_setup_teardown(
		test_billed_as_sent, server_start_sent, server_stop),
	    cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests_name("net_delivery", tests, NULL, NULL);
}
