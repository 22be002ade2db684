/* What control clients are told about configurations: the place of a mistake, and no
 * secrets. SPDX-License-Identifier: MIT */
#include "master/checker.h"
#include "master/ctl/mask.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_places(void **state)
{
	static const struct {
		const char *why, *key;
		int line, column;
	} cases[] = {
	    {"--max-requests \"x\" (/etc/shop.json:3:14): expected a whole number",
		"max_requests", 3, 14},
	    {"/etc/shop.json:4:10: invalid token near 'x'", "", 4, 10},
	    {"unknown option \"max_request\" (shop.json:2:3); did you mean "
	     "\"max_requests\"?",
		"", 2, 3},
	    {"--bind \"[::1]:0:99\" (command line): expected HOST:PORT", "bind", 0, 0},
	    {"--bind \"::1:80:443\" (shop.json:7:9): expected HOST:PORT", "bind", 7, 9},
	    {"config file shop.json: No such file or directory", "", 0, 0},
	    {"shop.json:0:4 and :5:0 and : 5:6 and :7", "", 0, 0},
	    {"shop.json:99999999999:1", "", 0, 0},
	    {"-- :1:2", "", 1, 2},
	    {"--", "", 0, 0},
	    {"", "", 0, 0},
	    {"--"
	     "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx",
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct checker_place place;

		checker_find_place(cases[i].why, &place);
		assert_string_equal(place.key, cases[i].key);
		if (place.line != cases[i].line || place.column != cases[i].column)
			fail_msg("%s: %d:%d", cases[i].why, place.line, place.column);
	}
}

static void
test_masks(void **state)
{
	static const char *const cases[][2] = {
	    {"API_TOKEN=geheim", "API_TOKEN=********"},
	    {"db_password=geheim=x", "db_password=********"},
	    {"SECRET=", "SECRET=********"},
	    {"SENTRY_DSN=x", "SENTRY_DSN=********"},
	    {"CACHE=redis://:geheim@cache/0", "CACHE=********"},
	    {"CACHE=redis://cache/0", "CACHE=redis://cache/0"},
	    {"MAIL=ops@example.org", "MAIL=ops@example.org"},
	    {"COLOUR=token", "COLOUR=token"},
	    {"TOKEN", "TOKEN"},
	    {"", ""},
	};
	json_t *list = json_array();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		json_array_append_new(list, json_string(cases[i][0]));
	json_array_append_new(list, json_integer(7));
	mask_assignments(list);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(
		    json_string_value(json_array_get(list, i)), cases[i][1]);
	assert_int_equal(json_integer_value(json_array_get(list, ARRAY_LEN(cases))), 7);
	json_decref(list);
	mask_assignments(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_masks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
