/* The rules for body framing, chunks, trailers and what comes behind an error.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/http_check.h"

#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define CL(value) IN(POST "Content-Length: " value "\r\n\r\nabc")
#define TE(value) IN(POST "Transfer-Encoding: " value "\r\n\r\n1\r\nx\r\n0\r\n\r\n")
#define CHUNKED(body) IN(POST "Transfer-Encoding: chunked\r\n\r\n" body)
#define TRAILER(lines) CHUNKED("1\r\nx\r\n0\r\n" lines "\r\n")

static const struct check_row length_rows[] = {
    {"a body", CL("3"), 0, 1, "|keep length |3\n"},
    {"leading zeros are decimal", CL("003"), 0, 1, "|keep length |3\n"},
    {"010 is ten: not complete", CL("010"), 0, 0, "|10\n"},
    {"no body", IN(POST "Content-Length: 0\r\n\r\n" GET), 0, 2, NULL},
    {"largest", CL("9223372036854775807"), 0, 0, "|9223372036854775807\n"},
    {"too large", CL("9223372036854775808"), 400, 0, NULL},
    {"wraps around", CL("18446744073709551619"), 400, 0, NULL},
    {"huge", CL("99999999999999999999999999999999"), 400, 0, NULL},
    {"empty", CL(""), 400, 0, NULL},
    {"sign", CL("+3"), 400, 0, NULL},
    {"negative", CL("-3"), 400, 0, NULL},
    {"minus zero", CL("-0"), 400, 0, NULL},
    {"hexadecimal", CL("0x3"), 400, 0, NULL},
    {"underscore", CL("0_3"), 400, 0, NULL},
    {"tail", CL("3Z"), 400, 0, NULL},
    {"blank inside", CL("3 3"), 400, 0, NULL},
    {"fraction", CL("3.0"), 400, 0, NULL},
    {"list", CL("3, 3"), 400, 0, NULL},
    {"repeated equal", IN(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), 400, 0,
	NULL},
    {"repeated", IN(POST "Content-Length: 3\r\ncontent-length: 2\r\n\r\nabc"), 400, 0,
	NULL},
    {"with Transfer-Encoding",
	IN(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400, 0,
	NULL},
    {"behind Transfer-Encoding",
	IN(POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"), 400, 0,
	NULL},
    {"zero with Transfer-Encoding",
	IN(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"), 400, 0,
	NULL},
    {"in 1.0", IN("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc"), 0, 1, NULL},
    {"pipelined", IN(POST "Content-Length: 3\r\n\r\nabc" GET GET), 0, 3, NULL},
    {"behind the body comes no CRLF", IN(POST "Content-Length: 1\r\n\r\nabc" GET), 0, 2,
	"bcGET"},
    {"cut", IN(POST "Content-Length: 4\r\n\r\nabc"), 0, 0, NULL},
};

static const struct check_row coding_rows[] = {
    {"chunked", TE("chunked"), 0, 1, "|keep chunked|0\n"},
    {"any case", TE(" \tcHuNkEd\t"), 0, 1, "|keep chunked|0\n"},
    {"in 1.0", IN("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400, 0,
	NULL},
    {"unknown in 1.0", IN("POST / HTTP/1.0\r\nTransfer-Encoding: a, chunked\r\n\r\n"), 400,
	0, NULL},
    {"unknown and chunked", TE("gzip, chunked"), 501, 0, NULL},
    {"two unknown and chunked", TE("gzip,br ,chunked"), 501, 0, NULL},
    {"unknown, chunked and length",
	IN(POST "Content-Length: 1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), 400, 0,
	NULL},
    {"unknown alone", TE("gzip"), 400, 0, NULL},
    {"not final", TE("chunked, gzip"), 400, 0, NULL},
    {"twice", TE("chunked, chunked"), 400, 0, NULL},
    {"twice and unknown", TE("chunked, gzip, chunked"), 400, 0, NULL},
    {"two fields", IN(POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"),
	400, 0, NULL},
    {"two equal fields",
	IN(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, 0,
	NULL},
    {"identity", TE("identity"), 400, 0, NULL},
    {"identity, chunked", TE("identity, chunked"), 400, 0, NULL},
    {"empty", TE(""), 400, 0, NULL},
    {"empty member first", TE(",chunked"), 400, 0, NULL},
    {"empty member last", TE("chunked,"), 400, 0, NULL},
    {"empty member inside", TE("gzip,,chunked"), 400, 0, NULL},
    {"parameter", TE("chunked;q=1"), 400, 0, NULL},
    {"parameter before", TE("gzip;q=1, chunked"), 400, 0, NULL},
    {"quoted", TE("\"chunked\""), 400, 0, NULL},
    {"0xa0 around",
	TE("\xa0"
	   "chunked\xa0"),
	400, 0, NULL},
    {"VT before", TE("\vchunked"), 400, 0, NULL},
    {"xchunked", TE("xchunked"), 400, 0, NULL},
    {"two words", TE("chunked chunked"), 400, 0, NULL},
    {"underscore does not frame", IN(POST "Transfer_Encoding: chunked\r\n\r\n" GET), 0, 2,
	NULL},
};

static const struct check_row chunk_rows[] = {
    {"some", CHUNKED("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), 0, 1, "END 11\n"},
    {"hexadecimal", CHUNKED("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"), 0, 1,
	"END 20\n"},
    {"zeros", CHUNKED("0005\r\nhello\r\n000\r\n\r\n"), 0, 1, "END 5\n"},
    {"16 digits", CHUNKED("0000000000000001\r\nx\r\n0\r\n\r\n"), 0, 1, "END 1\n"},
    {"17 digits", CHUNKED("00000000000000001\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"pipelined", CHUNKED("1\r\nx\r\n0\r\n\r\n" GET), 0, 2, "END 1\nHEAD GET|"},
    {"empty size", CHUNKED("\r\n\r\n"), 400, 0, NULL},
    {"sign", CHUNKED("+1\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"negative", CHUNKED("-1\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"0x", CHUNKED("0x1\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"underscore", CHUNKED("0_1\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"blank before", CHUNKED(" 1\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"blank behind", CHUNKED("1 \r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"blank before an extension", CHUNKED("1 ;a\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"letter", CHUNKED("g\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"bare LF behind the size", CHUNKED("1\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"bare CR behind the size", CHUNKED("1\rx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"CR and any byte", CHUNKED("5\r\r;ABCD\r\n0\r\n\r\n"), 400, 0, NULL},
    {"bare LF behind the data", CHUNKED("1\r\nx\n0\r\n\r\n"), 400, 0, NULL},
    {"bare CR behind the data", CHUNKED("1\r\nx\r0\r\n\r\n"), 400, 0, NULL},
    {"data too long", CHUNKED("1\r\nxy\r\n0\r\n\r\n"), 400, 0, NULL},
    {"data ends in any two bytes", CHUNKED("1\r\nxXX0\r\n\r\n"), 400, 0, NULL},
    {"no last chunk", CHUNKED("3\r\nfoo\r\n\r\n"), 400, 0, NULL},
    {"nothing runs behind an error", CHUNKED("INVALID\r\n" GET), 400, 0, NULL},
    {"cut in the size", CHUNKED("1"), 0, 0, NULL},
    {"cut in the data", CHUNKED("5\r\nhel"), 0, 0, NULL},
    {"cut before the last CRLF", CHUNKED("0\r\n"), 0, 0, NULL},
    {"wraps around", CHUNKED("ffffffffffffffff\r\nabc"), 0, 0, NULL},
};

static const struct check_row extension_rows[] = {
    {"name", CHUNKED("1;a\r\nx\r\n0;b\r\n\r\n"), 0, 1, "END 1\n"},
    {"name and value", CHUNKED("1;a=b;c=d\r\nx\r\n0\r\n\r\n"), 0, 1, NULL},
    {"blank behind the semicolon", CHUNKED("1; a=b; \tc\r\nx\r\n0\r\n\r\n"), 0, 1, NULL},
    {"quoted", CHUNKED("1;a=\"b; \\\"c\\\\ \xe9\t\";d\r\nx\r\n0\r\n\r\n"), 0, 1, NULL},
    {"empty", CHUNKED("1;\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"two semicolons", CHUNKED("1;;a\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"no value", CHUNKED("1;a=\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"no name", CHUNKED("1;=b\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"two values", CHUNKED("1;a=b=c\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"behind the quotes", CHUNKED("1;a=\"b\"c\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"unclosed quote", CHUNKED("1;a=\"b\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"NUL", CHUNKED("1;a\0b\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"LF", CHUNKED("1;a\nb\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"CR", CHUNKED("1;a=v\rw\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"NUL in quotes", CHUNKED("1;a=\"\0\"\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"LF in quotes", CHUNKED("1;a=\"\n\"\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
    {"escaped LF", CHUNKED("1;a=\"\\\n\"\r\nx\r\n0\r\n\r\n"), 400, 0, NULL},
};

static const struct check_row trailer_rows[] = {
    {"dropped", TRAILER("Vary: *\r\nX-Sum:\t\xe9\r\nEmpty:\r\n"), 0, 1, "END 1\n"},
    {"looks like a request", TRAILER("X:GET / HTTP/1.1\r\n"), 0, 1, "END 1\n"},
    {"a request is none", TRAILER("GET / HTTP/1.1\r\n"), 400, 0, NULL},
    {"Content-Type is harmless", TRAILER("Content-Type: text/plain\r\n"), 0, 1, NULL},
    {"Content-Length", TRAILER("Content-Length: 9\r\n"), 400, 0, NULL},
    {"Transfer-Encoding", TRAILER("A: b\r\ntRANSFER-eNCODING: chunked\r\n"), 400, 0, NULL},
    {"Host", TRAILER("Host: b\r\n"), 400, 0, NULL},
    {"Trailer", TRAILER("Trailer: b\r\n"), 400, 0, NULL},
    {"Authorization", TRAILER("Authorization: b\r\n"), 400, 0, NULL},
    {"Cookie", TRAILER("Cookie: b\r\n"), 400, 0, NULL},
    {"longer than any forbidden", TRAILER("Transfer-Encoding-And-More-Of-It: b\r\n"), 0, 1,
	NULL},
    {"empty name", TRAILER(": b\r\n"), 400, 0, NULL},
    {"no colon", TRAILER("abc\r\n"), 400, 0, NULL},
    {"SP before the colon", TRAILER("A : b\r\n"), 400, 0, NULL},
    {"fold", TRAILER("A: b\r\n c\r\n"), 400, 0, NULL},
    {"bare LF", TRAILER("A: b\n"), 400, 0, NULL},
    {"bare CR", TRAILER("A: b\rc\r\n"), 400, 0, NULL},
    {"NUL", TRAILER("A: \0\r\n"), 400, 0, NULL},
    {"CR and any byte at the end", CHUNKED("0\r\n\rX"), 400, 0, NULL},
    {"LF at the end", CHUNKED("0\r\n\n"), 400, 0, NULL},
};

#define ROWS_TEST(name)                                                                    \
	static void test_##name(void **state)                                              \
	{                                                                                  \
		(void)state;                                                               \
		check_rows(name##_rows, ARRAY_LEN(name##_rows));                           \
	}

ROWS_TEST(length)
ROWS_TEST(coding)
ROWS_TEST(chunk)
ROWS_TEST(extension)
ROWS_TEST(trailer)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_length),
	    cmocka_unit_test(test_coding),
	    cmocka_unit_test(test_chunk),
	    cmocka_unit_test(test_extension),
	    cmocka_unit_test(test_trailer),
	};

	check_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
