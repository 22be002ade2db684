/* Bind addresses: the grammar, its limits and what a wrong one is told.
 * SPDX-License-Identifier: MIT */
#include "common/bind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define PATH_107                                                                           \
	"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                               \
	"/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/cccccc"

static const struct {
	const char *text;
	enum bind_kind kind;
	const char *host; /* or the path */
	int number;       /* port or descriptor */
} good[] = {
    {"127.0.0.1:8000", BIND_TCP, "127.0.0.1", 8000},
    {"localhost:80", BIND_TCP, "localhost", 80},
    {":8080", BIND_TCP, "", 8080},
    {":0", BIND_TCP, "", 0},
    {"0.0.0.0", BIND_TCP, "0.0.0.0", 8000},
    {"shop.example.org", BIND_TCP, "shop.example.org", 8000},
    {"tcp://10.0.0.1:9000", BIND_TCP, "10.0.0.1", 9000},
    {"[::1]:65535", BIND_TCP, "::1", 65535},
    {"[::]", BIND_TCP, "::", 8000},
    {"[fe80::1%eth0]:1", BIND_TCP, "fe80::1%eth0", 1},
    {"unix:/run/shop.sock", BIND_UNIX, "/run/shop.sock", 0},
    {"unix:///run/shop.sock", BIND_UNIX, "/run/shop.sock", 0},
    {"unix:shop.sock", BIND_UNIX, "shop.sock", 0},
    {"unix:@shop", BIND_UNIX, "@shop", 0},
    {"unix:" PATH_107, BIND_UNIX, PATH_107, 0},
    {"fd://3", BIND_FD, NULL, 3},
};

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct bind_addr b;
		struct err e = {""};

		if (bind_parse(&b, good[i].text, &e) != 0)
			fail_msg("%s: %s", good[i].text, e.text);
		assert_int_equal(b.kind, good[i].kind);
		if (b.kind == BIND_TCP)
			assert_string_equal(b.host, good[i].host);
		if (b.kind == BIND_UNIX)
			assert_string_equal(b.path, good[i].host);
		if (b.kind != BIND_UNIX)
			assert_int_equal(b.kind == BIND_FD ? b.fd : b.port, good[i].number);
	}
}

static const char port[] = "expected a port from 0 to 65535 after the last colon";
static const char host[] = "expected a host name or address before the port";
static const char descriptor[] = "expected the number of an open descriptor after fd://";

static const struct {
	const char *text, *message;
} bad[] = {
    {"", "expected HOST:PORT, :PORT, [V6]:PORT, unix:PATH or fd://N"},
    {":", port},
    {":65536", port},
    {":-1", port},
    {":http", port},
    {"localhost:80 ", port},
    {"local host:80", host},
    {"http://localhost", port},
    {"localhost/x:80", host},
    {"::1:8000", "expected an IPv6 address in brackets, as [::1]:8000"},
    {"[::1", "expected [IPV6]:PORT"},
    {"[::1]8000", "expected [IPV6]:PORT"},
    {"[::g]:80", "expected an IPv6 address between the brackets"},
    {"[127.0.0.1]:80", "expected an IPv6 address between the brackets"},
    {"[]:80", "expected an IPv6 address between the brackets"},
    {"unix:", "expected a path after unix:"},
    {"unix:" PATH_107 "d", "expected a path of at most 107 bytes after unix:"},
    {"fd://", descriptor},
    {"fd://-1", descriptor},
    {"fd://2147483648", descriptor},
};

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct bind_addr b;
		struct err e = {""};

		if (bind_parse(&b, bad[i].text, &e) == 0)
			fail_msg("%s was taken", bad[i].text);
		assert_string_equal(e.text, bad[i].message);
	}
}

static void
test_long_host(void **state)
{
	char text[600] = "[";
	struct bind_addr b;
	struct err e;

	(void)state;
	memset(text + 1, 'a', 400);
	assert_int_equal(bind_parse(&b, text + 1, &e), -1);
	assert_string_equal(e.text, "expected a host name of at most 255 bytes");
	strcpy(text + 401, "]:80");
	assert_int_equal(bind_parse(&b, text, &e), -1);
	assert_string_equal(e.text, "expected an IPv6 address between the brackets");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_long_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
