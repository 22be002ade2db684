/* Stacks of a worker: faulthandler's text read back, and bytes made harmless.
 * SPDX-License-Identifier: MIT */
#include "master/text.h"
#include "master/trace_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void
expect(struct str text, const char *json)
{
	json_t *threads = trace_parse(text);
	char *out = json_dumps(threads, JSON_COMPACT | JSON_ENSURE_ASCII);

	assert_string_equal(out, json);
	free(out);
	json_decref(threads);
}

static void
test_dumps(void **state)
{
	static const struct {
		struct str text;
		const char *json;
	} cases[] = {
	    {STR(""), "[]"},
	    {STR("Fatal Python error: Aborted\n\n"
		 "Thread 0x00007f31d10a62c0 (most recent call first):\n"
		 "  File \"/usr/lib/python3.11/threading.py\", line 324 in wait\n"
		 "\n"
		 "Current thread 0x00007f31d20a62c0 (most recent call first):\n"
		 "  File \"/srv/shop, line 4 in views.py\", line 44 in search\n"
		 "  File \"<string>\", line 1 in <module>\n"),
		"[{\"id\":\"0x7f31d10a62c0\",\"current\":false,\"stack\":["
		"{\"file\":\"/usr/lib/python3.11/threading.py\",\"line\":324,\"function\":"
		"\"wait\"}]},"
		"{\"id\":\"0x7f31d20a62c0\",\"current\":true,\"stack\":["
		"{\"file\":\"/srv/shop, line 4 in views.py\",\"line\":44,\"function\":"
		"\"search\"},"
		"{\"file\":\"<string>\",\"line\":1,\"function\":\"<module>\"}]}]"},
	    /* Newer versions of CPython name threads; frames may be unknown or too many. */
	    {STR("Thread 0x0000000000000abc [pool [1]] (most recent call first):\n"
		 "  File ???, line ??? in ???\n"
		 "  ...\n"
		 "Thread 0x0000000000000abd (most recent call first):\n"
		 "  <no Python frame>\n"),
		"[{\"id\":\"0xabc\",\"current\":false,\"stack\":["
		"{\"file\":\"???\",\"line\":null,\"function\":\"???\"}],"
		"\"name\":\"pool [1]\",\"truncated\":true},"
		"{\"id\":\"0xabd\",\"current\":false,\"stack\":[]}]"},
	    /* Two dumps: the newer one; and a line cut at the end of the text. */
	    {STR("Thread 0x0001 (most recent call first):\n"
		 "  File \"a\", line 1 in old\n"
		 "Current thread 0x0002 (most recent call first):\n"
		 "  File \"a\", line 1 in old\n"
		 "Thread 0x0001 (most recent call first):\n"
		 "  File \"a\", line 2 in new\n"
		 "Current thread 0x0002 (most recent call fir"),
		"[{\"id\":\"0x1\",\"current\":false,\"stack\":["
		"{\"file\":\"a\",\"line\":2,\"function\":\"new\"}]}]"},
	    /* Not faulthandler's. */
	    {STR("  File \"a\", line 1 in f\nThread 0x (most recent call first):\n"
		 "Thread 0xXY (most recent call first):\n"
		 "Thread  (most recent call first):\n"
		 "Thread 0x11112222333344445 (most recent call first):\n"
		 "Thread 0x1 [ (most recent call first):\n"
		 "  File \"\\xe9\x1b[31m\xff\", line 99999999999 in \0f\n"),
		"[{\"id\":\"0x1\",\"current\":false,\"stack\":["
		"{\"file\":\"\\\\xe9\\\\x1b[31m\\\\xff\",\"line\":null,\"function\":"
		"\"\\\\x00f\"}]}]"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect(cases[i].text, cases[i].json);
}

/* A thread has its creator's id until it runs, and comes before it. */
static void
test_starting_thread(void **state)
{
	(void)state;
	expect(STR("Thread 0x0001 (most recent call first):\n"
		   "  <no Python frame>\n"
		   "Current thread 0x0002 (most recent call first):\n"
		   "  File \"a\", line 1 in die\n"
		   "Thread 0x0001 (most recent call first):\n"
		   "  File \"a\", line 2 in start\n"),
	    "[{\"id\":\"0x2\",\"current\":true,\"stack\":["
	    "{\"file\":\"a\",\"line\":1,\"function\":\"die\"}]},"
	    "{\"id\":\"0x1\",\"current\":false,\"stack\":["
	    "{\"file\":\"a\",\"line\":2,\"function\":\"start\"}]}]");
}

static void
test_bounds(void **state)
{
	size_t size = 4 * TRACE_TEXT_MAX, n = 0;
	char *text = malloc(size);
	json_t *threads;

	(void)state;
	for (unsigned i = 0; n + 100 < TRACE_TEXT_MAX; i++)
		n += (size_t)snprintf(
		    text + n, size - n, "Thread 0x%x (most recent call first):\n", i);
	threads = trace_parse((struct str){text, n});
	assert_int_equal(json_array_size(threads), TRACE_THREADS_MAX);
	json_decref(threads);
	n = (size_t)snprintf(text, size, "Thread 0x1 (most recent call first):\n");
	while (n + 100 < size)
		n += (size_t)snprintf(text + n, size - n, "  File \"x\", line 1 in f\n");
	threads = trace_parse((struct str){text, n});
	assert_int_equal(
	    json_array_size(json_object_get(json_array_get(threads, 0), "stack")),
	    TRACE_FRAMES_MAX);
	json_decref(threads);
	free(text);
}

static void
test_lines(void **state)
{
	static const struct {
		struct str bytes;
		const char *text;
	} cases[] = {
	    {STR("GET /\\xe9\n\tin \"f\"\n"), "GET /\\xe9\n\tin \"f\"\n"},
	    {STR("GET /\xe9\nb\n"), "GET /\\xe9\nb\n"},
	    {STR("a\0\r\n"), "a\\x00\\x0d\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *v = text_lines_to_json(cases[i].bytes);

		assert_string_equal(json_string_value(v), cases[i].text);
		json_decref(v);
	}
}

static void
test_text(void **state)
{
	static const struct {
		struct str bytes;
		const char *text;
	} cases[] = {
	    {STR(""), ""},
	    {STR("/caf\xc3\xa9"), "/caf\xc3\xa9"},
	    {STR("/caf\xe9"), "/caf\\xe9"},
	    {STR("a\x1b[2J\x7f"), "a\\x1b[2J\\x7f"},
	    {STR("\xc2\x9b"
		 "1m"),
		"\\xc2\\x9b1m"},
	    {STR("a\0b"), "a\\x00b"},
	    {STR("\"\\"), "\"\\"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *v = text_to_json(cases[i].bytes);

		assert_string_equal(json_string_value(v), cases[i].text);
		assert_int_equal(json_string_length(v), strlen(cases[i].text));
		json_decref(v);
	}
	assert_int_equal(text_cut("GET\0X", 5).n, 3);
	assert_int_equal(text_cut("GETXX", 5).n, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dumps),
	    cmocka_unit_test(test_starting_thread),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
