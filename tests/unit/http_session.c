/* Limits, the way a session ends, and that work grows only with the bytes.
 * SPDX-License-Identifier: MIT */
#include <time.h>

#include "tests/unit/http_check.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define LINE_BYTES 65536

static char big[CHECK_INPUT_MAX];

/* "GET /aaa... HTTP/1.1" of exactly n bytes, then the rest. */
static struct str
request_of_line(size_t n, const char *rest)
{
	size_t tail = strlen(" HTTP/1.1");

	memcpy(big, "GET /", 5);
	memset(big + 5, 'a', n - 5 - tail);
	memcpy(big + n - tail, " HTTP/1.1", tail);
	memcpy(big + n, rest, strlen(rest));
	return (struct str){big, n + strlen(rest)};
}

/* A head with one field line of n bytes. */
static struct str
request_of_field(size_t n, const char *rest)
{
	size_t at = strlen(GET);

	memcpy(big, GET, at);
	memcpy(big + at, "X: ", 3);
	memset(big + at + 3, 'v', n - 3);
	memcpy(big + at + n, rest, strlen(rest));
	return (struct str){big, at + n + strlen(rest)};
}

static struct str
request_of_fields(unsigned n)
{
	size_t at = strlen(GET);

	memcpy(big, GET, at);
	for (unsigned i = 1; i < n; i++) {
		memcpy(big + at, "X: y\r\n", 6);
		at += 6;
	}
	memcpy(big + at, "\r\n", 2);
	return (struct str){big, at + 2};
}

static void
expect(const char *rule, struct str in, int status, unsigned ends)
{
	struct check_row row = {rule, in, status, ends, NULL};

	check_rows(&row, 1);
}

static void
test_line_limit(void **state)
{
	static const char *const ends[] = {
	    "\r\nHost: a\r\n\r\n", "\n", "", "\r", "\rx\r\n"};

	(void)state;
	for (check_run.limits.line = 60; check_run.limits.line < 70;
	     check_run.limits.line++) {
		uint32_t max = check_run.limits.line;

		expect("as long as allowed", request_of_line(max, ends[0]), 0, 1);
		expect("one byte too long", request_of_line(max + 1, ends[0]), 414, 0);
		expect("bare LF at the limit", request_of_line(max, ends[1]), 400, 0);
		expect("bare LF over it", request_of_line(max + 1, ends[1]), 414, 0);
		expect("open at the limit", request_of_line(max, ends[2]), 0, 0);
		expect("open with CR", request_of_line(max, ends[3]), 0, 0);
		expect("open with CR over it", request_of_line(max + 1, ends[3]), 414, 0);
		expect("open over it", request_of_line(max + 1, ends[2]), 414, 0);
		expect("bare CR at the limit", request_of_line(max, ends[4]), 414, 0);
		memset(big, 'M', 100);
		expect("endless method", (struct str){big, 100}, max < 64 ? 414 : 501, 0);
		memset(big, '/', 100);
		memcpy(big, "M", 1);
		expect("endless and no method", (struct str){big, 100},
		    max < 64 ? 414 : 400, 0);
	}
	check_run.limits = run_limits_default;
	expect("8000 bytes are supported", request_of_line(8000, ends[0]), 0, 1);
	expect("8190 are the default", request_of_line(8190, ends[0]), 0, 1);
	expect("8191 are too many", request_of_line(8191, ends[0]), 414, 0);
}

static void
test_field_limits(void **state)
{
	(void)state;
	check_run.limits.field_size = 50;
	expect("as long as allowed", request_of_field(50, "\r\n\r\n"), 0, 1);
	expect("one byte too long", request_of_field(51, "\r\n\r\n"), 431, 0);
	expect("open over it", request_of_field(51, ""), 431, 0);
	expect("bad and too long", request_of_field(51, "\x01\r\n\r\n"), 431, 0);
	expect("bad and as long as allowed", request_of_field(49, "\x01\r\n\r\n"), 400, 0);
	check_run.limits = run_limits_default;
	check_run.limits.fields = 5;
	expect("as many as allowed", request_of_fields(5), 0, 1);
	expect("one too many", request_of_fields(6), 431, 0);
	check_run.limits.fields = HEAD_FIELDS_MAX;
	expect("as many as there is room for", request_of_fields(HEAD_FIELDS_MAX), 0, 1);
	expect(
	    "more than there is room for", request_of_fields(HEAD_FIELDS_MAX + 1), 431, 0);
	check_run.limits.fields = 100000;
	expect("whatever was configured", request_of_fields(HEAD_FIELDS_MAX + 1), 431, 0);
	check_run.limits = run_limits_default;
}

static void
test_total_limit(void **state)
{
	struct str in;

	(void)state;
	for (uint32_t total = 20; total < 130; total++) {
		check_run.limits.total = total;
		in = request_of_field(64, "\r\n\r\n");
		expect("total bytes of a head", in, in.n > total ? 431 : 0, in.n <= total);
		expect("many small fields", request_of_fields(12),
		    strlen(GET) + 68 > total ? 431 : 0, strlen(GET) + 68 <= total);
	}
	check_run.limits = run_limits_default;
}

static void
test_body_limit(void **state)
{
	static const struct check_row rows[] = {
	    {"length at the limit", IN(GET "Content-Length: 4\r\n\r\nabcd"), 0, 1, NULL},
	    {"length over it", IN(GET "Content-Length: 5\r\n\r\nabcde"), 413, 0, "ERROR"},
	    {"chunks at it",
		IN(GET "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"),
		0, 1, "END 4\n"},
	    {"one chunk over it", IN(GET "Transfer-Encoding: chunked\r\n\r\n5\r\na"), 413,
		0, NULL},
	    {"the second chunk over it",
		IN(GET "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nd"), 413, 0,
		NULL},
	    {"a chunk near 2^64",
		IN(GET
		    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nffffffffffffffff\r\nd"),
		413, 0, NULL},
	};

	(void)state;
	check_run.body_max = 4;
	check_rows(rows, ARRAY_LEN(rows));
	check_run.body_max = 0;
}

static void
test_chunk_limits(void **state)
{
	static const char head[] = GET "Transfer-Encoding: chunked\r\n\r\n";
	size_t n = strlen(head);

	(void)state;
	for (int over = 0; over < 2; over++) {
		size_t at = n;

		memcpy(big, head, n);
		memcpy(big + at, "0;", 2);
		memset(big + at + 2, 'e', CHUNK_EXT_MAX - 1 + (size_t)over);
		at += 2 + CHUNK_EXT_MAX - 1 + (size_t)over;
		memcpy(big + at, "\r\n\r\n", 4);
		expect("extension bytes", (struct str){big, at + 4}, over ? 400 : 0, !over);
		at = n + 3;
		memcpy(big + n, "0\r\nT:", 5);
		memset(big + at + 2, 't', CHUNK_TRAILER_MAX - 5 + (size_t)over);
		at += 2 + CHUNK_TRAILER_MAX - 5 + (size_t)over;
		memcpy(big + at, "\r\n\r\n", 4);
		expect("trailer bytes", (struct str){big, at + 4}, over ? 400 : 0, !over);
	}
}

static void
test_eof(void **state)
{
	static const struct {
		struct str in;
		bool clean;
	} rows[] = {
	    {IN(""), true},
	    {IN("\r\n"), true},
	    {IN("\r\n\r\n"), true},
	    {IN("G"), false},
	    {IN("\r\nG"), false},
	    {IN("\r"), false},
	    {IN(GET), false},
	    {IN(GET "\r\n"), true},
	    {IN(GET "\r\n" GET), false},
	    {IN(GET "Content-Length: 2\r\n\r\na"), false},
	    {IN(GET "Content-Length: 2\r\n\r\nab"), true},
	    {IN(GET "Transfer-Encoding: chunked\r\n\r\n0\r\n"), false},
	    {IN(GET "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		run_split(&check_run, rows[i].in, NULL, 0, 1);
		if (check_run.clean != rows[i].clean)
			fail_msg("%.*s: clean end %d", (int)rows[i].in.n, rows[i].in.p,
			    check_run.clean);
	}
}

static void
test_silent_after_error(void **state)
{
	static struct head head;
	struct session s;
	struct str data;
	size_t used;

	(void)state;
	session_init(&s, &head, &run_limits_default, 0);
	assert_int_equal(session_feed(&s, "\x16", 1, &used, &data), SESSION_ERROR);
	assert_int_equal(
	    session_feed(&s, GET "\r\n", strlen(GET) + 2, &used, &data), SESSION_ERROR);
	assert_int_equal(used, 0);
	assert_int_equal(s.status, 400);
	assert_string_equal(s.reason, "TLS on a plain port");
	assert_int_equal(head_parse(&head, &run_limits_default, GET "\r\n", 1), HEAD_ERROR);
}

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* 64 KiB of every byte behind several beginnings, fed a byte at a time: quadratic work
 * would take minutes; the bound leaves room for sanitizers and a busy machine. */
static void
test_linear(void **state)
{
	static const char *const starts[] = {"", "GET ", GET, GET "X: ", GET "X: y\r\n\r",
	    GET "Transfer-Encoding: chunked\r\n\r\n",
	    GET "Transfer-Encoding: chunked\r\n\r\n1;",
	    GET "Transfer-Encoding: chunked\r\n\r\n0\r\nT: "};
	double start = cpu_seconds();
	unsigned runs = 0;

	(void)state;
	check_run.place = NULL;
	check_run.limits.line = check_run.limits.field_size = check_run.limits.total =
	    2 * LINE_BYTES;
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		size_t n = strlen(starts[i]);

		memcpy(big, starts[i], n);
		for (unsigned b = 0; b < 256; b += b < 0x30 || b > 0x7c ? 1 : 9, runs++) {
			memset(big + n, (int)b, LINE_BYTES);
			run_split(
			    &check_run, (struct str){big, n + LINE_BYTES}, NULL, 0, 1);
		}
	}
	check_run.place = check_place;
	check_run.limits = run_limits_default;
	assert_true((cpu_seconds() - start) / runs < 0.1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_line_limit),
	    cmocka_unit_test(test_field_limits),
	    cmocka_unit_test(test_total_limit),
	    cmocka_unit_test(test_body_limit),
	    cmocka_unit_test(test_chunk_limits),
	    cmocka_unit_test(test_eof),
	    cmocka_unit_test(test_silent_after_error),
	    cmocka_unit_test(test_linear),
	};

	check_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
