/* Response heads: what an application may say, and what is added to it.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "common/http/fields.h"
#include "common/http/resp.h"

#define DATE "Sat, 21 Nov 2026 09:00:00 GMT"
#define BOTH "Server: s\r\nDate: " DATE "\r\n"
#define IN(lit)                                                                            \
	{                                                                                  \
		(lit), sizeof(lit) - 1                                                     \
	}

struct row {
	const char *what;
	struct str status;
	struct {
		struct str name, value;
	} fields[4];
	enum resp_error error; /* of the status or the last field */
	bool http10, head_request, no_keep_alive, sized, capitalize;
	uint64_t size;
	enum resp_framing framing;
	bool closes;
	const char *out;
};

static const struct row rows[] = {
    {"sized", IN("200 OK"), {{IN("Content-type"), IN("text/plain")}}, .sized = true,
	.size = 5, .framing = RESP_LENGTH,
	.out = "HTTP/1.1 200 OK\r\n" BOTH
	       "Content-type: text/plain\r\nContent-Length: 5\r\n\r\n"},
    {"sized and empty", IN("200 OK"), .sized = true, .framing = RESP_LENGTH,
	.out = "HTTP/1.1 200 OK\r\n" BOTH "Content-Length: 0\r\n\r\n"},
    {"the application's length wins", IN("200 OK"), {{IN("content-length"), IN("7")}},
	.sized = true, .size = 5, .framing = RESP_LENGTH,
	.out = "HTTP/1.1 200 OK\r\n" BOTH "content-length: 7\r\n\r\n"},
    {"unknown length", IN("200 OK"), .framing = RESP_CHUNKED,
	.out = "HTTP/1.1 200 OK\r\n" BOTH "Transfer-Encoding: chunked\r\n\r\n"},
    {"unknown length in 1.0", IN("200 OK"), .http10 = true, .framing = RESP_CLOSE,
	.closes = true, .out = "HTTP/1.1 200 OK\r\n" BOTH "Connection: close\r\n\r\n"},
    {"keep-alive in 1.0", IN("200 OK"), .http10 = true, .sized = true,
	.framing = RESP_LENGTH,
	.out = "HTTP/1.1 200 OK\r\n" BOTH
	       "Content-Length: 0\r\nConnection: keep-alive\r\n\r\n"},
    {"closing", IN("200 OK"), .no_keep_alive = true, .framing = RESP_CHUNKED,
	.closes = true,
	.out = "HTTP/1.1 200 OK\r\n" BOTH
	       "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"},
    {"the application closes", IN("200 OK"), {{IN("connection"), IN("Close")}},
	.sized = true, .framing = RESP_LENGTH, .closes = true,
	.out = "HTTP/1.1 200 OK\r\n" BOTH "Content-Length: 0\r\nConnection: close\r\n\r\n"},
    {"keep-alive is stripped", IN("200 OK"), {{IN("Connection"), IN("Keep-Alive")}},
	.sized = true, .framing = RESP_LENGTH,
	.out = "HTTP/1.1 200 OK\r\n" BOTH "Content-Length: 0\r\n\r\n"},
    {"HEAD", IN("200 OK"), .head_request = true, .framing = RESP_NO_BODY,
	.out = "HTTP/1.1 200 OK\r\n" BOTH "\r\n"},
    {"HEAD keeps the length", IN("200 OK"), {{IN("Content-Length"), IN("9")}},
	.head_request = true, .sized = true, .framing = RESP_NO_BODY,
	.out = "HTTP/1.1 200 OK\r\n" BOTH "Content-Length: 9\r\n\r\n"},
    {"HEAD in 1.0 may persist", IN("200 OK"), .http10 = true, .head_request = true,
	.framing = RESP_NO_BODY,
	.out = "HTTP/1.1 200 OK\r\n" BOTH "Connection: keep-alive\r\n\r\n"},
    {"304 keeps the length", IN("304 Not Modified"), {{IN("Content-Length"), IN("9")}},
	.framing = RESP_NO_BODY,
	.out = "HTTP/1.1 304 Not Modified\r\n" BOTH "Content-Length: 9\r\n\r\n"},
    {"204 has no length", IN("204 No Content"), {{IN("Content-Length"), IN("0")}},
	.sized = true, .framing = RESP_NO_BODY,
	.out = "HTTP/1.1 204 No Content\r\n" BOTH "\r\n"},
    {"nor has 1xx", IN("103 Early Hints"), {{IN("Content-Length"), IN("0")}},
	.framing = RESP_NO_BODY, .out = "HTTP/1.1 103 Early Hints\r\n" BOTH "\r\n"},
    {"own Date and Server", IN("200 OK"),
	{{IN("date"), IN("now")}, {IN("A"), IN("b")}, {IN("SERVER"), IN("mine")}},
	.sized = true, .framing = RESP_LENGTH,
	.out = "HTTP/1.1 200 OK\r\ndate: now\r\nA: b\r\nSERVER: mine\r\nContent-Length: "
	       "0\r\n\r\n"},
    {"one Server at most", IN("200 OK"), {{IN("Server"), IN("1")}, {IN("server"), IN("2")}},
	.sized = true, .framing = RESP_LENGTH,
	.out =
	    "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nServer: 1\r\nContent-Length: 0\r\n\r\n"},
    {"duplicates stay in order", IN("200 OK"),
	{{IN("Set-Cookie"), IN("a")}, {IN("X"), IN("")}, {IN("Set-Cookie"), IN("b\t\xe9")}},
	.sized = true, .framing = RESP_LENGTH,
	.out = "HTTP/1.1 200 OK\r\n" BOTH
	       "Set-Cookie: a\r\nX: \r\nSet-Cookie: b\t\xe9\r\nContent-Length: 0\r\n\r\n"},
    {"capitalized", IN("200 OK"), {{IN("x-fOO-bar"), IN("a")}}, .sized = true,
	.capitalize = true, .framing = RESP_LENGTH,
	.out = "HTTP/1.1 200 OK\r\n" BOTH "X-Foo-Bar: a\r\nContent-Length: 0\r\n\r\n"},
    {"no reason", IN("200"), .sized = true, .framing = RESP_LENGTH,
	.out = "HTTP/1.1 200 \r\n" BOTH "Content-Length: 0\r\n\r\n"},
    {"empty reason", IN("599 "), .sized = true, .framing = RESP_LENGTH,
	.out = "HTTP/1.1 599 \r\n" BOTH "Content-Length: 0\r\n\r\n"},
    {"obs-text in the reason", IN("404 caf\xe9\tx"), .sized = true, .framing = RESP_LENGTH,
	.out = "HTTP/1.1 404 caf\xe9\tx\r\n" BOTH "Content-Length: 0\r\n\r\n"},
    {"empty status", IN(""), .error = RESP_BAD_STATUS},
    {"two digits", IN("20"), .error = RESP_BAD_STATUS},
    {"four digits", IN("2000 OK"), .error = RESP_BAD_STATUS},
    {"600", IN("600 x"), .error = RESP_BAD_STATUS},
    {"099", IN("099 x"), .error = RESP_BAD_STATUS},
    {"letters", IN("2x0 x"), .error = RESP_BAD_STATUS},
    {"no SP", IN("200OK"), .error = RESP_BAD_STATUS},
    {"injection by status", IN("200 OK\r\nX: 1"), .error = RESP_BAD_STATUS},
    {"NUL in the reason", IN("200 O\0K"), .error = RESP_BAD_STATUS},
    {"DEL in the reason", IN("200 O\x7fK"), .error = RESP_BAD_STATUS},
    {"empty name", IN("200 OK"), {{IN(""), IN("a")}}, .error = RESP_BAD_NAME},
    {"colon in a name", IN("200 OK"), {{IN("a:"), IN("a")}}, .error = RESP_BAD_NAME},
    {"SP in a name", IN("200 OK"), {{IN("a b"), IN("a")}}, .error = RESP_BAD_NAME},
    {"injection by name", IN("200 OK"), {{IN("a\r\nb"), IN("a")}}, .error = RESP_BAD_NAME},
    {"obs-text in a name", IN("200 OK"), {{IN("\xe9"), IN("a")}}, .error = RESP_BAD_NAME},
    {"injection by value", IN("200 OK"), {{IN("a"), IN("b\r\nc: d")}},
	.error = RESP_BAD_VALUE},
    {"LF in a value", IN("200 OK"), {{IN("a"), IN("b\n")}}, .error = RESP_BAD_VALUE},
    {"NUL in a value", IN("200 OK"), {{IN("a"), IN("12345678\0")}},
	.error = RESP_BAD_VALUE},
    {"VT in a value", IN("200 OK"), {{IN("a"), IN("1234\v5678")}}, .error = RESP_BAD_VALUE},
    {"two lengths", IN("200 OK"),
	{{IN("Content-Length"), IN("1")}, {IN("Content-Length"), IN("1")}},
	.error = RESP_BAD_LENGTH},
    {"no number", IN("200 OK"), {{IN("Content-Length"), IN("x")}},
	.error = RESP_BAD_LENGTH},
    {"negative length", IN("200 OK"), {{IN("Content-Length"), IN("-1")}},
	.error = RESP_BAD_LENGTH},
    {"another option", IN("200 OK"), {{IN("Connection"), IN("upgrade")}},
	.error = RESP_HOP_BY_HOP},
    {"close and another", IN("200 OK"), {{IN("Connection"), IN("close, x")}},
	.error = RESP_HOP_BY_HOP},
    {"Transfer-Encoding", IN("200 OK"), {{IN("transfer-encoding"), IN("chunked")}},
	.error = RESP_HOP_BY_HOP},
    {"Keep-Alive", IN("200 OK"), {{IN("Keep-Alive"), IN("5")}}, .error = RESP_HOP_BY_HOP},
    {"TE", IN("200 OK"), {{IN("TE"), IN("x")}}, .error = RESP_HOP_BY_HOP},
    {"Trailer", IN("200 OK"), {{IN("Trailer"), IN("x")}}, .error = RESP_HOP_BY_HOP},
    {"Trailers", IN("200 OK"), {{IN("Trailers"), IN("x")}}, .error = RESP_HOP_BY_HOP},
    {"Upgrade", IN("200 OK"), {{IN("Upgrade"), IN("x")}}, .error = RESP_HOP_BY_HOP},
    {"Proxy-Connection", IN("200 OK"), {{IN("Proxy-Connection"), IN("x")}},
	.error = RESP_HOP_BY_HOP},
    {"Proxy-Authenticate", IN("200 OK"), {{IN("Proxy-Authenticate"), IN("x")}},
	.error = RESP_HOP_BY_HOP},
    {"Proxy-Authorization", IN("200 OK"), {{IN("Proxy-Authorization"), IN("x")}},
	.error = RESP_HOP_BY_HOP},
};

static enum resp_error
row_play(const struct row *row, struct resp *r)
{
	enum resp_error e = resp_begin(r, row->status);

	for (size_t i = 0;
	     e == RESP_OK && i < ARRAY_LEN(row->fields) && row->fields[i].name.p; i++)
		e = resp_field(r, row->fields[i].name, row->fields[i].value);
	return e;
}

/* lent: so little that the head must move to the heap, or plenty. */
static void
row_check(const struct row *row, size_t lent)
{
	char mem[1024];
	struct resp_buf out = {.p = mem, .cap = lent};
	struct resp r = {.out = &out,
	    .http11 = !row->http10,
	    .head_request = row->head_request,
	    .keep_alive = !row->no_keep_alive,
	    .capitalize = row->capitalize};
	enum resp_error e = row_play(row, &r);

	if (e != row->error)
		fail_msg("%s: %s", row->what, resp_error_text(e));
	if (e == RESP_OK) {
		e = resp_finish(&r, STR(DATE), STR("s"), row->sized, row->size);
		if (e != RESP_OK || out.n != strlen(row->out) ||
		    memcmp(out.p, row->out, out.n) != 0)
			fail_msg("%s: %.*s", row->what, (int)out.n, out.p);
		if (r.framing != row->framing || r.keep_alive == row->closes)
			fail_msg("%s: framing %d, keep-alive %d", row->what, r.framing,
			    r.keep_alive);
	}
	assert_int_equal(out.on_heap, out.p != mem);
	if (out.on_heap)
		free(out.p);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		row_check(&rows[i], 1024);
		row_check(&rows[i], 0);
		row_check(&rows[i], 30);
	}
}

static void
test_too_large(void **state)
{
	static char value[RESP_HEAD_MAX];
	struct resp_buf out = {0};
	struct resp r = {.out = &out, .http11 = true, .keep_alive = true};
	enum resp_error e;
	unsigned n = 0;

	(void)state;
	memset(value, 'v', sizeof(value));
	assert_int_equal(resp_begin(&r, STR("200 OK")), RESP_OK);
	do {
		e = resp_field(&r, STR("X"), (struct str){value, 10000});
	} while (e == RESP_OK && ++n < 100);
	assert_int_equal(e, RESP_TOO_LARGE);
	assert_true(out.n <= RESP_HEAD_MAX && n > RESP_HEAD_MAX / 10005 - 2);
	assert_int_equal(
	    resp_field(&r, STR("X"), (struct str){value, sizeof(value)}), RESP_TOO_LARGE);
	free(out.p);
}

static void
test_without_server(void **state)
{
	char mem[256];
	struct resp_buf out = {.p = mem, .cap = sizeof(mem)};
	struct resp r = {.out = &out, .http11 = true, .keep_alive = true};

	(void)state;
	assert_int_equal(resp_begin(&r, STR("200 OK")), RESP_OK);
	assert_int_equal(
	    resp_finish(&r, STR(DATE), (struct str){NULL, 0}, true, UINT64_MAX), RESP_OK);
	out.p[out.n] = '\0';
	assert_string_equal(out.p, "HTTP/1.1 200 OK\r\nDate: " DATE
				   "\r\nContent-Length: 18446744073709551615\r\n\r\n");
}

static void
test_canned(void **state)
{
	static const char head[] = "HTTP/1.1 400 Bad Request\r\n" BOTH
				   "Content-Type: text/plain; charset=utf-8\r\n"
				   "Content-Length: 16\r\nConnection: close\r\n\r\n";
	char buf[512];
	size_t head_len = 0;
	size_t n =
	    resp_canned(buf, sizeof(buf), 400, STR(DATE), STR("s"), false, &head_len);

	(void)state;
	assert_int_equal(head_len, strlen(head));
	assert_int_equal(n, head_len + 16);
	assert_memory_equal(buf, head, head_len);
	assert_memory_equal(buf + head_len, "400 Bad Request\n", 16);
	n = resp_canned(buf, sizeof(buf), 400, STR(DATE), STR("s"), true, &head_len);
	assert_int_equal(n, head_len);
	for (size_t cap = 0; cap < 150; cap++)
		assert_int_equal(
		    resp_canned(buf, cap, 400, STR(DATE), STR("s"), false, &head_len), 0);
	assert_int_equal(
	    resp_canned(buf, sizeof(buf), 600, STR(DATE), STR("s"), false, &head_len), 0);
}

static void
test_chunk_header(void **state)
{
	static const struct {
		uint64_t n;
		const char *want;
	} chunk_rows[] = {{0, "0\r\n"}, {9, "9\r\n"}, {15, "f\r\n"}, {16, "10\r\n"},
	    {0x1f40, "1f40\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"}};
	char p[18];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(chunk_rows); i++) {
		size_t n = chunk_header(p, chunk_rows[i].n);

		assert_int_equal(n, strlen(chunk_rows[i].want));
		assert_memory_equal(p, chunk_rows[i].want, n);
	}
}

static void
test_date(void **state)
{
	static const struct {
		int64_t t;
		const char *want;
	} date_rows[] = {{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
	    {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
	    {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
	    {951782399, "Mon, 28 Feb 2000 23:59:59 GMT"},
	    {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"}, {1795251600, DATE},
	    {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
	    {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"},
	    {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"}};
	char p[29];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(date_rows); i++) {
		http_date(p, date_rows[i].t);
		if (memcmp(p, date_rows[i].want, sizeof(p)) != 0)
			fail_msg("%lld: %.29s", (long long)date_rows[i].t, p);
	}
}

static void
test_status_reason(void **state)
{
	(void)state;
	assert_string_equal(status_reason(200), "OK");
	assert_string_equal(status_reason(511), "Network Authentication Required");
	assert_string_equal(status_reason(299), "Unknown");
	assert_string_equal(status_reason(-1), "Unknown");
	assert_string_equal(status_reason(1000), "Unknown");
}

/* Every known name is found in any case; a name that differs in one byte is not. */
static void
test_fields_lookup(void **state)
{
	char name[64];

	(void)state;
	for (unsigned id = FIELD_OTHER + 1; id < FIELD_COUNT; id++) {
		struct str lower = fields_name(id);

		if (fields_lookup(lower) != id)
			fail_msg("%.*s has no slot of its own", (int)lower.n, lower.p);
		memcpy(name, lower.p, lower.n);
		for (size_t i = 0; i < lower.n; i++) {
			if (name[i] != '-')
				name[i] = (char)(name[i] & ~0x20);
			assert_int_equal(fields_lookup((struct str){name, lower.n}), id);
			name[i] = '_';
			assert_int_equal(
			    fields_lookup((struct str){name, lower.n}), FIELD_OTHER);
			name[i] = lower.p[i];
		}
		name[lower.n] = 's';
		assert_int_equal(
		    fields_lookup((struct str){name, lower.n + 1}), FIELD_OTHER);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_too_large),
	    cmocka_unit_test(test_without_server),
	    cmocka_unit_test(test_canned),
	    cmocka_unit_test(test_chunk_header),
	    cmocka_unit_test(test_date),
	    cmocka_unit_test(test_status_reason),
	    cmocka_unit_test(test_fields_lookup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
