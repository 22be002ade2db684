/* The rules for request lines, targets, hosts and fields, a row each.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/http_check.h"

#define H "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" H

static const struct check_row line_rows[] = {
    {"a plain request", IN(GET "\r\n"), 0, 1,
	"HEAD GET|/|path /|query 0 |host a|1.1|keep |0\n"},
    {"bare LF ends nothing", IN("GET / HTTP/1.1\nHost: a\n\n"), 400, 0, NULL},
    {"bare LF after a field", IN(GET "A: b\n\r\n"), 400, 0, NULL},
    {"bare LF at the end", IN(GET "\n"), 400, 0, NULL},
    {"bare LF first", IN("\nGET / HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"bare CR in the line", IN("GET / HTTP/1.1\rA: b\r\n" H "\r\n"), 400, 0, NULL},
    {"bare CR in a value", IN(GET "A: b\rc\r\n\r\n"), 400, 0, NULL},
    {"bare CR at the end", IN(GET "\rX\r\n\r\n"), 400, 0, NULL},
    {"bare CR first", IN("\rGET / HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"CR CR LF", IN("GET / HTTP/1.1\r\r\n" H "\r\n"), 400, 0, NULL},
    {"an empty line before", IN("\r\n" GET "\r\n"), 0, 1, NULL},
    {"a few empty lines before", IN("\r\n\r\n\r\n\r\n" GET "\r\n"), 0, 1, NULL},
    {"too many empty lines", IN("\r\n\r\n\r\n\r\n\r\n" GET "\r\n"), 400, 0, NULL},
    {"two SP after the method", IN("GET  / HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"two SP after the target", IN("GET /  HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"SP at the end", IN("GET / HTTP/1.1 \r\n" H "\r\n"), 400, 0, NULL},
    {"SP at the start", IN(" GET / HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"tab for SP", IN("GET\t/ HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"tab after the target", IN("GET /\tHTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"no target", IN("GET HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"empty target", IN("GET  HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"unknown method", IN("Frob-1 / HTTP/1.1\r\n" H "\r\n"), 0, 1, "HEAD Frob-1|"},
    {"methods keep their case", IN("get / HTTP/1.1\r\n" H "\r\n"), 0, 1, "HEAD get|"},
    {"method with a colon", IN("GET: / HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"method with NUL", IN("GET\0 / HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"method of 64 bytes",
	IN("ABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGH / "
	   "HTTP/1.1\r\n" H "\r\n"),
	0, 1, NULL},
    {"method of 65 bytes",
	IN("ABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHI / "
	   "HTTP/1.1\r\n" H "\r\n"),
	501, 0, NULL},
    {"method of 65 bytes that never ends",
	IN("ABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHI"), 501, 0,
	NULL},
    {"long and no token",
	IN("ABCDEFGH(BCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHI"), 400, 0,
	NULL},
    {"HTTP/1.0", IN("GET / HTTP/1.0\r\n\r\n"), 0, 1, "|1.0||0\n"},
    {"HTTP/1.9 is served as 1.1", IN("GET / HTTP/1.9\r\n" H "\r\n"), 0, 1,
	"|1.9|keep |0\n"},
    {"HTTP/1.9 needs Host", IN("GET / HTTP/1.9\r\n\r\n"), 400, 0, NULL},
    {"HTTP/2.0", IN("GET / HTTP/2.0\r\n" H "\r\n"), 505, 0, NULL},
    {"HTTP/0.9", IN("GET / HTTP/0.9\r\n\r\n"), 505, 0, NULL},
    {"HTTP/9.9", IN("GET / HTTP/9.9\r\n\r\n"), 505, 0, NULL},
    {"HTTP/2 preface", IN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505, 0, NULL},
    {"http/1.1", IN("GET / http/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"HTTP/1.10", IN("GET / HTTP/1.10\r\n" H "\r\n"), 400, 0, NULL},
    {"HTTP/1.", IN("GET / HTTP/1.\r\n" H "\r\n"), 400, 0, NULL},
    {"HTTP/11", IN("GET / HTTP/11\r\n" H "\r\n"), 400, 0, NULL},
    {"HTTP/1,1", IN("GET / HTTP/1,1\r\n" H "\r\n"), 400, 0, NULL},
    {"HTTPS/1.1", IN("GET / HTTPS/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"no version", IN("GET /\r\n" H "\r\n"), 400, 0, NULL},
    {"no version but SP", IN("GET / \r\n" H "\r\n"), 400, 0, NULL},
    {"TLS ClientHello", IN("\x16\x03\x01"), 400, 0, NULL},
    {"TLS ClientHello behind an empty line", IN("\r\n\x16\x03\x01"), 400, 0, NULL},
    {"nothing yet", IN("GET / HT"), 0, 0, ""},
};

static const struct check_row target_rows[] = {
    {"query", IN("GET /a?b=c?d HTTP/1.1\r\n" H "\r\n"), 0, 1,
	"|/a?b=c?d|path /a|query 1 b=c?d|"},
    {"empty query", IN("GET /a? HTTP/1.1\r\n" H "\r\n"), 0, 1, "|path /a|query 1 |"},
    {"many slashes stay", IN("GET //a//b HTTP/1.1\r\n" H "\r\n"), 0, 1, "|path //a//b|"},
    {"escapes stay", IN("GET /a%2Fb%c3 HTTP/1.1\r\n" H "\r\n"), 0, 1, "|path /a%2Fb%c3|"},
    {"absolute form beats Host", IN("GET http://b:8/p?q HTTP/1.1\r\n" H "\r\n"), 0, 1,
	"|http://b:8/p?q|path /p|query 1 q|host b:8|"},
    {"absolute form without path", IN("GET HTTPS://b HTTP/1.1\r\n" H "\r\n"), 0, 1,
	"|path |query 0 |host b|"},
    {"absolute form, query only", IN("GET http://b?q HTTP/1.1\r\n" H "\r\n"), 0, 1,
	"|path |query 1 q|host b|"},
    {"absolute form, IPv6", IN("GET http://[::1]:80/ HTTP/1.1\r\n" H "\r\n"), 0, 1,
	"|host [::1]:80|"},
    {"absolute form still needs Host", IN("GET http://b/ HTTP/1.1\r\n\r\n"), 400, 0, NULL},
    {"absolute form, bad Host", IN("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n"), 400, 0,
	NULL},
    {"absolute form in 1.0", IN("GET http://b/ HTTP/1.0\r\n\r\n"), 0, 1, "|host b|"},
    {"user information", IN("GET http://u:p@b/ HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"empty authority", IN("GET http:///x HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"another scheme", IN("GET ftp://b/x HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"bad authority", IN("GET http://b,c/ HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"CONNECT", IN("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"), 501, 0, NULL},
    {"CONNECT with a path", IN("CONNECT /b HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"authority form elsewhere", IN("GET b:443 HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"OPTIONS *", IN("OPTIONS * HTTP/1.1\r\n" H "\r\n"), 0, 1, "HEAD OPTIONS|*|path *|"},
    {"GET *", IN("GET * HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"relative", IN("GET a/b HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"control character", IN("GET /\x01 HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"NUL", IN("GET /\0 HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"DEL", IN("GET /\x7f HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"0x80", IN("GET /\x80 HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"0xff", IN("GET /?\xff HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"SP in the path", IN("GET /a b HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"fragment", IN("GET /a#b HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"%00", IN("GET /a%00 HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"%zz", IN("GET /a%zz HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"% at the end", IN("GET /a% HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"%4 at the end", IN("GET /a%4 HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"%00 in a query", IN("GET /a?%00 HTTP/1.1\r\n" H "\r\n"), 400, 0, NULL},
    {"100% in a query", IN("GET /a?q=100% HTTP/1.1\r\n" H "\r\n"), 0, 1, "|query 1 q=100%|"},
    {"quotes and bars", IN("GET /\"|{}\\^<>` HTTP/1.1\r\n" H "\r\n"), 0, 1, NULL},
};

#define HOST(value) IN("GET / HTTP/1.1\r\nHost: " value "\r\n\r\n")

static const struct check_row host_rows[] = {
    {"name and port", HOST("www.example.com:8080"), 0, 1, "|host www.example.com:8080|"},
    {"empty port", HOST("a:"), 0, 1, "|host a:|"},
    {"largest port", HOST("a:65535"), 0, 1, NULL},
    {"port too large", HOST("a:65536"), 400, 0, NULL},
    {"port no number", HOST("a:8x"), 400, 0, NULL},
    {"two ports", HOST("a:1:2"), 400, 0, NULL},
    {"huge port", HOST("a:99999999999999999999999"), 400, 0, NULL},
    {"port alone", HOST(":80"), 400, 0, NULL},
    {"IPv4", HOST("127.0.0.1"), 0, 1, NULL},
    {"IPv6", HOST("[2001:db8::7]:80"), 0, 1, NULL},
    {"IPv6 with IPv4 inside", HOST("[::ffff:1.2.3.4]"), 0, 1, NULL},
    {"unclosed", HOST("[::1"), 400, 0, NULL},
    {"behind the bracket", HOST("[::1]x"), 400, 0, NULL},
    {"bracket and bad port", HOST("[::1]:70000"), 400, 0, NULL},
    {"no address", HOST("[hello]"), 400, 0, NULL},
    {"zone", HOST("[fe80::1%25eth0]"), 400, 0, NULL},
    {"NUL in brackets", HOST("[::1\0]"), 400, 0, NULL},
    {"bracket inside", HOST("a[b]"), 400, 0, NULL},
    {"sub-delims", HOST("0.0.0.0=5000"), 0, 1, NULL},
    {"escape", HOST("a%41"), 0, 1, NULL},
    {"bad escape", HOST("a%4"), 400, 0, NULL},
    {"%00", HOST("a%00b"), 400, 0, NULL},
    {"none in 1.1", IN("GET / HTTP/1.1\r\nA: b\r\n\r\n"), 400, 0, NULL},
    {"none in 1.0", IN("GET / HTTP/1.0\r\nA: b\r\n\r\n"), 0, 1, NULL},
    {"bad in 1.0", IN("GET / HTTP/1.0\r\nHost: a b\r\n\r\n"), 400, 0, NULL},
    {"two", IN(GET "Host: b\r\n\r\n"), 400, 0, NULL},
    {"two equal", IN(GET "hoSt: a\r\n\r\n"), 400, 0, NULL},
    {"empty", HOST(""), 400, 0, NULL},
    {"blank", HOST(" \t"), 400, 0, NULL},
    {"space", HOST("a b"), 400, 0, NULL},
    {"slash", HOST("a/b"), 400, 0, NULL},
    {"question mark", HOST("a?b"), 400, 0, NULL},
    {"hash", HOST("a#b"), 400, 0, NULL},
    {"at", HOST("u@a"), 400, 0, NULL},
    {"comma", HOST("a,b"), 400, 0, NULL},
    {"backslash", HOST("a\\b"), 400, 0, NULL},
    {"obs-text",
	HOST("\xff"
	     "a"),
	400, 0, NULL},
    {"before the body", IN("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"), 400, 0, NULL},
};

static const struct check_row field_rows[] = {
    {"any token", IN(GET "!#$%&'*+-.^`|~09aZ: x\r\n\r\n"), 0, 1,
	" 0 0 !#$%&'*+-.^`|~09aZ=x\n"},
    {"empty name", IN(GET ": x\r\n\r\n"), 400, 0, NULL},
    {"no colon", IN(GET "abc\r\n\r\n"), 400, 0, NULL},
    {"SP before the colon", IN(GET "A : x\r\n\r\n"), 400, 0, NULL},
    {"HTAB before the colon", IN(GET "A\t: x\r\n\r\n"), 400, 0, NULL},
    {"SP first", IN("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400, 0, NULL},
    {"fold", IN(GET "A: b\r\n c\r\n\r\n"), 400, 0, NULL},
    {"fold with a tab", IN(GET "A: b\r\n\tc: d\r\n\r\n"), 400, 0, NULL},
    {"fold of nothing", IN(GET " \r\n\r\n"), 400, 0, NULL},
    {"obs-text name", IN(GET "\xe9: b\r\n\r\n"), 400, 0, NULL},
    {"NUL in a name", IN(GET "A\0: b\r\n\r\n"), 400, 0, NULL},
    {"bytes of a value", IN(GET "A: \t b \t\x80\xff~ \t\r\n\r\n"), 0, 1,
	" 0 0 A=b \t\x80\xff~\n"},
    {"empty value", IN(GET "A:\r\nB: \t \r\n\r\n"), 0, 1, " 0 0 A=\n 0 0 B=\n"},
    {"only SP and HTAB are blanks", IN(GET "A: \xa0\x85x\x85\xa0\r\n\r\n"), 0, 1,
	"A=\xa0\x85x\x85\xa0\n"},
    {"VT is not blank", IN(GET "A: \vx\r\n\r\n"), 400, 0, NULL},
    {"FF is not blank", IN(GET "A: x\f\r\n\r\n"), 400, 0, NULL},
    {"NUL in a value", IN(GET "A: 12345678\0\r\n\r\n"), 400, 0, NULL},
    {"BEL in a value", IN(GET "A: x\ay2345678901234567890\r\n\r\n"), 400, 0, NULL},
    {"DEL in a value",
	IN(GET "A: 01234567890123\x7f"
	       "5\r\n\r\n"),
	400, 0, NULL},
    {"ESC late in a value", IN(GET "A: 0123456789012345678\x1b\r\n\r\n"), 400, 0, NULL},
    {"underscores are not for the app", IN(GET "X_y: 1\r\n\r\n"), 0, 1, " 0 1 X_y=1\n"},
    {"nor do they frame", IN(GET "Content_Length: 5\r\n\r\n"), 0, 1, "|keep |0\n"},
    {"Proxy is not for the app", IN(GET "pRoxy: x\r\n\r\n"), 0, 1, " 1 pRoxy=x\n"},
    {"duplicates are joined later",
	IN(GET "A: 1\r\nA: 2\r\nCookie: a\r\ncookie: b\r\n\r\n"), 0, 1, NULL},
    {"two Content-Type", IN(GET "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n"), 400, 0,
	NULL},
    {"close", IN(GET "Connection: close\r\n\r\n" GET "\r\n"), 0, 1, "|close |0\n"},
    {"close in a list", IN(GET "Connection: x ,\tCLOSE\r\n\r\n"), 0, 1, "|close |0\n"},
    {"close in a second field", IN(GET "Connection: x\r\nConnection: close\r\n\r\n"), 0, 1,
	"|close |0\n"},
    {"close beats keep-alive", IN(GET "Connection: keep-alive, close\r\n\r\n"), 0, 1,
	"|close |"},
    {"closed is not close", IN(GET "Connection: closed, xclose\r\n\r\n"), 0, 1, "|keep |"},
    {"1.0 with keep-alive", IN("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), 0, 1,
	"|keep |"},
    {"Connection names no framing",
	IN("POST / HTTP/1.1\r\n" H "Connection: Content-Length\r\n"
	   "Content-Length: 1\r\n\r\nx"),
	0, 1, "|keep length |1\n"},
    {"upgrade", IN(GET "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n"), 0, 1,
	"|keep upgrade |0\n"},
    {"upgrade without option", IN(GET "Upgrade: h2c\r\n\r\n"), 0, 1, "|keep |0\n"},
    {"100-continue", IN(GET "Expect: 100-Continue\r\n\r\n"), 0, 1, "|keep expect |0\n"},
    {"100-continue from 1.0", IN("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), 0, 1,
	"|1.0||0\n"},
    {"another expectation", IN(GET "Expect: 200-ok\r\n\r\n"), 417, 0, NULL},
    {"one of two expectations", IN(GET "Expect: 100-continue, x\r\n\r\n"), 417, 0, NULL},
    {"framing errors first", IN(GET "Expect: x\r\nContent-Length: x\r\n\r\n"), 400, 0,
	NULL},
};

static void
test_request_line(void **state)
{
	(void)state;
	check_rows(line_rows, ARRAY_LEN(line_rows));
}

static void
test_target(void **state)
{
	(void)state;
	check_rows(target_rows, ARRAY_LEN(target_rows));
}

static void
test_host(void **state)
{
	(void)state;
	check_rows(host_rows, ARRAY_LEN(host_rows));
}

static void
test_fields(void **state)
{
	(void)state;
	check_rows(field_rows, ARRAY_LEN(field_rows));
}

static void
test_kept_underscores(void **state)
{
	struct check_row row = {"underscores as asked for",
	    IN(GET "X_y: 1\r\nProxy: p\r\n\r\n"), 0, 1, " 0 0 X_y=1\n"};

	(void)state;
	check_run.limits.keep_underscores = true;
	check_rows(&row, 1);
	check_run.limits.keep_underscores = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_request_line),
	    cmocka_unit_test(test_target),
	    cmocka_unit_test(test_host),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_kept_underscores),
	};

	check_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
