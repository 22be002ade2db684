/* Access-log records: every atom, hostile bytes, cut buffers against a guard page.
 * SPDX-License-Identifier: MIT */
#include "worker/net/access_log.h"

#include "worker/net/req.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#define NOW_US 1795250820000000ll

static struct req *req;
static char head[8192];
static uint32_t head_n;

static struct span
say(const char *text, size_t n)
{
	struct span s = {head_n, (uint32_t)n};

	memcpy(head + head_n, text, n);
	head_n += (uint32_t)n;
	return s;
}

static void
add_field(const char *name, enum field_id id, const char *value, size_t n)
{
	struct field *f = &req->head.fields[req->head.n_fields++];

	*f = (struct field){
	    .name = say(name, strlen(name)), .value = say(value, n), .id = (uint16_t)id};
}

static int
make_request(void **state)
{
	(void)state;
	req = calloc(1, sizeof(*req));
	head_n = 0;
	req->base = head;
	req->head.method = say("GET", 3);
	req->head.target = say("/a%20b?x=1", 10);
	req->head.path = say("/a%20b", 6);
	req->head.query = say("x=1", 3);
	req->head.version_minor = 1;
	req->head.http11 = true;
	req->peer.in.sin_family = AF_INET;
	req->peer.in.sin_port = htons(4711);
	inet_pton(AF_INET, "10.0.200.7", &req->peer.in.sin_addr);
	req->status = 200;
	req->serial = 42;
	req->start_ns = 1000000000;
	req->first_out_ns = 1000500000;
	req->end_ns = 3012345678;
	req->app_ns = 77000;
	req->outcome = REQ_SENT;
	req->counts.in_head = 100;
	req->counts.in_body = 20;
	req->counts.in_framing = 3;
	req->counts.in_tls = 50;
	req->counts.out[OUT_HEAD] = 150;
	req->counts.out[OUT_BODY] = 1234;
	req->counts.out[OUT_FRAMING] = 12;
	req->counts.out_tls = 60;
	add_field("User-Agent", FIELD_USER_AGENT, "curl/8.0 (x)", 12);
	add_field("Referer", FIELD_REFERER, "http://e/", 9);
	add_field("X-Thing", FIELD_OTHER, "a thing", 7);
	return 0;
}

static int
drop_request(void **state)
{
	(void)state;
	free(req);
	return 0;
}

static void
expect_record(const char *spec, bool forwarded, const char *text)
{
	struct err e = {""};
	struct access_format *f = access_format_create(spec, forwarded, &e);
	char buf[8192];
	size_t n;

	if (f == NULL)
		fail_msg("%s: %s", spec, e.text);
	n = access_format_record(f, req, NOW_US, buf, sizeof(buf) - 1);
	buf[n] = 0;
	assert_int_equal(buf[n - 1], '\n');
	buf[n - 1] = 0;
	assert_string_equal(buf, text);
	access_format_destroy(f);
}

static void
named_formats(void **state)
{
	(void)state;
	expect_record(NULL, false,
	    "10.0.200.7 - - [21/Nov/2026:08:47:00 +0000] \"GET /a%20b?x=1 HTTP/1.1\" 200 "
	    "1234 "
	    "\"http://e/\" \"curl/8.0 (x)\"");
	expect_record("eventlet", false,
	    "10.0.200.7 - - [21/Nov/2026 08:47:00] \"GET /a%20b?x=1 HTTP/1.1\" 200 1234 "
	    "2.012345");
}

static void
each_atom(void **state)
{
	char pid[32], id[32];
	const struct {
		const char *spec, *text;
	} cases[] = {
	    {"%(h)s %(l)s %(u)s", "10.0.200.7 - -"},
	    {"%(t)s", "[21/Nov/2026:08:47:00 +0000]"},
	    {"%(r)s", "GET /a%20b?x=1 HTTP/1.1"},
	    {"%(m)s %(U)s %(q)s %(H)s", "GET /a%20b x=1 HTTP/1.1"},
	    {"%(s)s %(b)s %(B)d", "200 1234 1234"},
	    {"%(f)s|%(a)s", "http://e/|curl/8.0 (x)"},
	    {"%(T)s %(M)s %(D)s %(L)s", "2 2012 2012345 2.012345"},
	    {"%(p)s", pid},
	    {"%({x-thing}i)s %({X-THING}i)s %({absent}i)s", "a thing a thing -"},
	    {"%(client_ip)s:%(client_port)s", "10.0.200.7:4711"},
	    {"%(status_code)s %(body_length)s %(wall_seconds).6f", "200 1234 2.012345"},
	    {"%(time)s", "2026-11-21T08:47:00+0000"},
	    {"%(sent)s %(body)s %(in)s %(in_body)s", "1396 1234 123 20"},
	    {"%(tls_in)s %(tls_out)s %(scheme)s", "50 60 http"},
	    {"%(head)s %(framing)s %(in_head)s %(in_framing)s", "150 12 100 3"},
	    {"%(outcome)s %(reason)s", "sent -"},
	    {"%(ttfb)s %(app)s", "500 77"},
	    {"%(id)s", id},
	    {"100%% %(s)s%%", "100% 200%"},
	};

	(void)state;
	snprintf(pid, sizeof(pid), "<%d>", (int)getpid());
	snprintf(id, sizeof(id), "%d-42", (int)getpid());
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_record(cases[i].spec, false, cases[i].text);
	req->outcome = REQ_CLIENT_GONE;
	expect_record(
	    "%(outcome)s: %(reason)s", false, "client-gone: client closed the connection");
}

/* Made before the number is known, and filled in afterwards; or known at once. */
static void
acked(void **state)
{
	static const char spec[] = "%(s)s a=%(acked)s %(acked)d";
	struct err e = {""};
	struct access_format *f = access_format_create(spec, false, &e);
	char line[128], buf[128];
	size_t n;

	(void)state;
	assert_non_null(f);
	assert_true(access_format_waits(f));
	n = access_format_record(f, req, NOW_US, line, sizeof(line));
	n = access_line_fill(line, n, 1418, buf, sizeof(buf));
	assert_int_equal(n, 16);
	assert_memory_equal(buf, "200 a=1418 1418\n", 16);
	assert_int_equal(access_line_fill(line, 9, 18446744073709551615u, buf, 10), 10);
	assert_int_equal(buf[9], '\n');
	access_format_destroy(f);
	req->acked = 7;
	req->settled = true;
	expect_record(spec, false, "200 a=7 7");
	f = access_format_create("json", false, &e);
	assert_false(access_format_waits(f));
	access_format_destroy(f);
	f = access_format_create("json-acked", false, &e);
	assert_true(access_format_waits(f));
	access_format_destroy(f);
}

static void
refused_heads(void **state)
{
	(void)state;
	memset(&req->head, 0, sizeof(req->head));
	req->status = 400;
	req->first_out_ns = 0;
	req->outcome = REQ_REFUSED;
	expect_record("\"%(r)s\" %(m)s %(U)s %(q)s %(s)s %(f)s %(ttfb)s %(outcome)s", false,
	    "\"-\" - -  400 - - refused");
}

static void
wrong_formats(void **state)
{
	static const struct {
		const char *spec, *word;
	} cases[] = {
	    {"%(nonsense)s", "%(nonsense)s"},
	    {"%({server}o)s", "%({server}o)s"},
	    {"%({wsgi.input}e)s", "%({wsgi.input}e)s"},
	    {"%(h", "no `)`"},
	    {"%(h)", "no s, d or f"},
	    {"%(h)x", "no s, d or f"},
	    {"%h", "%%"},
	    {"x%", "%%"},
	};
	char *many = calloc(1, 4096), *at = many;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_null(access_format_create(cases[i].spec, false, &e));
		if (strstr(e.text, cases[i].word) == NULL)
			fail_msg("%s: %s", cases[i].spec, e.text);
	}
	for (int i = 0; i < 200; i++)
		at = stpcpy(at, "%(s)s ");
	assert_null(access_format_create(many, false, &e));
	assert_non_null(strstr(e.text, "more than"));
	free(many);
}

/* Every byte value at every position of a machine word. */
static void
hostile_bytes(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++)
		for (size_t at = 0; at < 17; at++) {
			char value[17], expect[64], *p = expect;

			memset(value, 'v', sizeof(value));
			value[at] = (char)c;
			for (size_t i = 0; i < sizeof(value); i++)
				if (i == at &&
				    (c < 0x20 || c >= 0x7f || c == '"' || c == '\\'))
					p += sprintf(p, "\\x%02x", c);
				else
					*p++ = value[i];
			*p = 0;
			req->head.n_fields = 0;
			head_n = 100;
			add_field("User-Agent", FIELD_USER_AGENT, value, sizeof(value));
			expect_record("%(a)s", false, expect);
		}
}

static void
json_is_json(void **state)
{
	struct access_format *f = access_format_create("json", false, NULL);
	static const char value[] = "q\"b\\s\n\x01\x7f\xff end";
	json_t *o;
	char buf[4096];
	size_t n;

	(void)state;
	req->head.n_fields = 0;
	add_field("User-Agent", FIELD_USER_AGENT, value, sizeof(value) - 1);
	n = access_format_record(f, req, NOW_US, buf, sizeof(buf));
	o = json_loadb(buf, n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "agent")),
	    "q\"b\\s\n\x01\x7f\xc3\xbf end");
	assert_int_equal(json_integer_value(json_object_get(o, "status")), 200);
	assert_int_equal(json_integer_value(json_object_get(o, "ttfb_us")), 500);
	assert_string_equal(json_string_value(json_object_get(o, "host")), "-");
	json_decref(o);
	access_format_destroy(f);
}

static void
forwarded_for(void **state)
{
	static const char hostile[] = "1.2.3.4, 5.6.7.8\n- - [forged]";

	(void)state;
	expect_record("%(h)s", true, "10.0.200.7");
	add_field("X-Forwarded-For", FIELD_X_FORWARDED_FOR, hostile, sizeof(hostile) - 1);
	expect_record("%(h)s", true, "1.2.3.4,5.6.7.8\\x0a--[forged],10.0.200.7");
	expect_record("%(h)s", false, "10.0.200.7");
}

static void
other_peers(void **state)
{
	(void)state;
	req->peer.in6.sin6_family = AF_INET6;
	inet_pton(AF_INET6, "2001:db8::7", &req->peer.in6.sin6_addr);
	expect_record("%(h)s", false, "2001:db8::7");
	req->peer.sa.sa_family = AF_UNIX;
	expect_record("%(h)s %(client_port)s", false, "unix 0");
}

static void
long_fields_are_cut(void **state)
{
	struct access_format *f = access_format_create("%(a)s!", false, NULL);
	char *value = malloc(6000), buf[8192];
	size_t n;

	(void)state;
	memset(value, 'x', 6000);
	add_field("User-Agent", FIELD_USER_AGENT, value, 6000);
	req->head.fields[0] = req->head.fields[req->head.n_fields - 1];
	n = access_format_record(f, req, NOW_US, buf, sizeof(buf));
	assert_int_equal(n, 2048 + 3 + 2);
	assert_memory_equal(buf + 2040, "xxxxxxxx...!\n", 13);
	free(value);
	access_format_destroy(f);
}

/* Every size of buffer, ending at a page that must not be touched. */
static void
cut_buffers(void **state)
{
	static const char *const specs[] = {"combined", "json", "eventlet"};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *map = mmap(
	    NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char whole[4096];

	(void)state;
	assert_int_equal(mprotect(map + page, page, PROT_NONE), 0);
	req->head.n_fields = 0;
	add_field("User-Agent", FIELD_USER_AGENT, "\xff\xff\"\"\\\\ ua", 9);
	for (size_t s = 0; s < ARRAY_LEN(specs); s++) {
		struct access_format *f = access_format_create(specs[s], false, NULL);
		size_t full = access_format_record(f, req, NOW_US, whole, sizeof(whole));

		assert_int_equal(access_format_record(f, req, NOW_US, map, 0), 0);
		for (size_t cap = 1; cap <= full + 5; cap++) {
			char *buf = map + page - cap;
			size_t n = access_format_record(f, req, NOW_US, buf, cap);

			assert_in_range(n, 1, MIN(cap, full));
			assert_int_equal(buf[n - 1], '\n');
			assert_memory_equal(buf, whole, n - 1);
			assert_true(cap < full || n == full);
		}
		access_format_destroy(f);
	}
	munmap(map, 2 * page);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_request, drop_request)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(named_formats),
	    TEST(each_atom),
	    TEST(acked),
	    TEST(refused_heads),
	    TEST(wrong_formats),
	    TEST(hostile_bytes),
	    TEST(json_is_json),
	    TEST(forwarded_for),
	    TEST(other_peers),
	    TEST(long_fields_are_cut),
	    TEST(cut_buffers),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
