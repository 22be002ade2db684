/* What requests add to the accounts: everything the worker counts, each byte once, under
 * who is billed. SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/support/net_server.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#define HELLO_LEN 43
#define GET(path)                                                                          \
	"GET " path " HTTP/1.1\r\nHost: Shop.Example:8000\r\nX-Tenant: t-1\r\n\r\n"

static char rule[64];
static bool unbuffered;

static int
on_setup(void **state)
{
	(void)state;
	memset(&fake_counts, 0, sizeof(fake_counts));
	net_server_open();
	free(worker.heritage.conf.account_key);
	worker.heritage.conf.account_key = rule[0] != '\0' ? strdup(rule) : NULL;
	worker.heritage.conf.health_path = strdup("/health");
	if (unbuffered) {
		free(worker.heritage.conf.request_buffering);
		worker.heritage.conf.request_buffering = strdup("off");
	}
	net_server_run();
	return 0;
}

static int
on_teardown(void **state)
{
	const struct msg_drain drain = {1000, 0, 0};

	(void)state;
	if (worker.seg == NULL)
		return 0;
	net_server_tell(MSG_DRAIN, &drain, sizeof(drain));
	net_server_join();
	rule[0] = '\0';
	return 0;
}

/* Between two requests of one test. */
static void
again_with(const char *expression)
{
	on_teardown(NULL);
	snprintf(rule, sizeof(rule), "%s", expression);
	on_setup(NULL);
}

static bool
find(const char *key, struct acct_view *v)
{
	for (uint32_t row = 0; row < acct_used(&worker.accounts); row++)
		if (acct_read(&worker.accounts, row, v) && strcmp(v->key, key) == 0)
			return true;
	return false;
}

static uint64_t
sum(enum acct_column column)
{
	struct acct_view v;
	uint64_t n = 0;

	for (uint32_t row = 0; row < acct_used(&worker.accounts); row++)
		if (acct_read(&worker.accounts, row, &v))
			n += v.value[column];
	return n;
}

/* The worker's own sums are those of all accounts. */
static void
check_sums(uint64_t requests)
{
	static const struct {
		enum stat_id stat;
		enum acct_column column;
	} pairs[] = {
	    {STAT_requests, ACCT_requests},
	    {STAT_aborted, ACCT_aborted},
	    {STAT_responses_5xx, ACCT_err5xx},
	    {STAT_in_head, ACCT_in_head},
	    {STAT_in_body, ACCT_in_body},
	    {STAT_in_framing, ACCT_in_framing},
	    {STAT_out_head, ACCT_out_head},
	    {STAT_out_body, ACCT_out_body},
	    {STAT_out_framing, ACCT_out_framing},
	};

	const int64_t until = net_server_now() + 5000;

	net_server_wait_stat(STAT_requests, requests);
	/* The statistics of a request are added one after the other. */
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		while (stat_get(worker.seg, pairs[i].stat) != sum(pairs[i].column)) {
			if (net_server_now() > until)
				fail_msg("statistic %d: %llu, accounts %llu",
				    (int)pairs[i].stat,
				    (unsigned long long)stat_get(worker.seg, pairs[i].stat),
				    (unsigned long long)sum(pairs[i].column));
			poll(NULL, 0, 1);
		}
	assert_int_equal(worker.accounts.head->intent.bytes, 0);
}

static void
ask(const char *text)
{
	char buf[1024];
	int fd = net_server_client();

	net_server_send(fd, text);
	net_server_receive(fd, buf, HELLO_LEN);
	close(fd);
}

static void
test_rules(void **state)
{
	static const struct {
		const char *rule, *key;
	} cases[] = {
	    {"host", "shop.example"},
	    {"header:x-tenant", "t-1"},
	    {"header:absent", "~none"},
	    {"path_prefix:1", "/a"},
	    {"path_prefix:2", "/a/b"},
	    {"path_prefix:9", "/a/b/c"},
	    {"tls_cn", "~none"},
	    {"", "~none"},
	};
	struct acct_view v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		again_with(cases[i].rule);
		ask(GET("/a/b/c?d=e"));
		check_sums(1);
		if (!find(cases[i].key, &v) || v.value[ACCT_requests] != 1)
			fail_msg("%s: no %s", cases[i].rule, cases[i].key);
		assert_int_equal(
		    v.value[ACCT_out_head] + v.value[ACCT_out_body], HELLO_LEN);
	}
}

static void
test_application(void **state)
{
	struct acct_view v;

	(void)state;
	again_with("host");
	ask(GET("/billed"));
	ask(GET("/hello"));
	check_sums(2);
	assert_true(find("acme", &v));
	assert_int_equal(v.value[ACCT_requests], 1);
	assert_int_equal(v.value[ACCT_out_body], 80);
	assert_true(find("shop.example", &v));
	assert_int_equal(v.value[ACCT_requests], 1);
}

static void
test_internal(void **state)
{
	struct acct_view v;

	(void)state;
	again_with("host");
	ask(GET("/health"));
	net_server_tell(MSG_CHECK, "/hello", 6);
	assert_int_equal(net_server_heard()->type, MSG_CHECKED);
	check_sums(2);
	assert_true(find(ACCT_NAME_INTERNAL, &v));
	assert_int_equal(v.value[ACCT_requests], 2);
}

/* Refused, left, cut, bodies read and not read, interim answers: the sums are the same. */
static void
test_every_end(void **state)
{
	static const char *const requests[] = {
	    GET("/big"),
	    GET("/stream"),
	    GET("/cut"),
	    GET("/hook"),
	    "GET /hello HTTP/1.1\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n",
	    "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc",
	    "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
	    "Expect: 100-continue\r\n\r\n",
	    "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "3\r\nabc\r\n0\r\n\r\n",
	};
	char buf[64];

	(void)state;
	again_with("host");
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		int fd = net_server_client();

		net_server_send(fd, requests[i]);
		net_server_receive(fd, buf, 20);
		close(fd);
		net_server_wait_stat(STAT_requests, i + 1);
	}
	check_sums(ARRAY_LEN(requests));
	assert_true(sum(ACCT_aborted) >= 2);
	assert_true(sum(ACCT_wall_us) > 0);
}

static void
test_more_hosts_than_rows(void **state)
{
	struct acct_view v;
	char text[128], buf[64];
	int fd;

	(void)state;
	again_with("host");
	fd = net_server_client();
	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "GET /hello HTTP/1.1\r\nHost: h%d\r\n\r\n",
		    i % 100);
		net_server_send(fd, text);
		assert_int_equal(net_server_receive(fd, buf, HELLO_LEN), HELLO_LEN);
	}
	close(fd);
	check_sums(300);
	assert_int_equal(sum(ACCT_out_body), 1500);
	assert_true(find(ACCT_NAME_OVERFLOW, &v));
	assert_int_equal(v.value[ACCT_requests], 3 * (100 - 11));
	assert_true(find("h10", &v));
	assert_int_equal(v.value[ACCT_requests], 3);
}

/* The answer is out before the body is in: what is thrown away is counted as well. */
static void
test_drained(void **state)
{
	char buf[64];
	int fd;

	(void)state;
	unbuffered = true;
	again_with("host");
	unbuffered = false;
	fd = net_server_client();
	net_server_send(fd, "POST /hello HTTP/1.1\r\nHost: t\r\n"
			    "Transfer-Encoding: chunked\r\n\r\n5\r\nab");
	assert_int_equal(net_server_receive(fd, buf, HELLO_LEN), HELLO_LEN);
	net_server_send(fd, "cde\r\n0\r\n\r\n" GET("/hello"));
	assert_int_equal(net_server_receive(fd, buf, HELLO_LEN), HELLO_LEN);
	close(fd);
	check_sums(2);
	assert_int_equal(sum(ACCT_in_body), 5);
	assert_int_equal(sum(ACCT_in_framing), 10);
}

#define SERVED(f) cmocka_unit_test_setup_teardown(f, on_setup, on_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SERVED(test_rules),
	    SERVED(test_application),
	    SERVED(test_internal),
	    SERVED(test_every_end),
	    SERVED(test_drained),
	    SERVED(test_more_hosts_than_rows),
	};

	return cmocka_run_group_tests_name("net_account", tests, NULL, NULL);
}
