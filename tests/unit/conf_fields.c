/* Struct members through JSON and back: every size and sign, bounds, wrong types.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/fields.h"

struct sample {
	int8_t tiny;
	uint16_t small;
	int32_t number;
	uint64_t large;
	int64_t wide;
	bool yes;
	double real;
	char text[8];
};

static const struct json_field fields[] = {
    FIELD_OF(struct sample, tiny, FIELD_SIGNED, -128, 127),
    FIELD_OF(struct sample, small, FIELD_UNSIGNED, 0, 65535),
    FIELD_OF(struct sample, number, FIELD_SIGNED, -5, 5),
    FIELD_OF(struct sample, large, FIELD_UNSIGNED, 0, INT64_MAX),
    FIELD_OF(struct sample, wide, FIELD_SIGNED, INT64_MIN, INT64_MAX),
    FIELD_OF(struct sample, yes, FIELD_BOOL, 0, 0),
    FIELD_OF(struct sample, real, FIELD_REAL, 0, 0),
    FIELD_OF(struct sample, text, FIELD_TEXT, 0, 0),
};

static void
test_round_trip(void **state)
{
	const struct sample from = {
	    -128, 65535, -5, UINT64_MAX, INT64_MIN, true, 1.5, "1234567"};
	struct sample to = {0};
	json_t *obj = json_object();
	struct err e;

	(void)state;
	assert_int_equal(fields_write(obj, &from, fields, ARRAY_LEN(fields)), 0);
	assert_int_equal(fields_read(obj, &to, fields, ARRAY_LEN(fields), &e), 0);
	assert_int_equal(to.tiny, -128);
	assert_int_equal(to.small, 65535);
	assert_int_equal(to.number, -5);
	assert_int_equal(to.large, INT64_MAX); /* the most JSON carries */
	assert_true(to.wide == INT64_MIN);
	assert_true(to.yes);
	assert_true(to.real == 1.5);
	assert_string_equal(to.text, "1234567");
	json_decref(obj);
}

static void
test_refusals(void **state)
{
	static const struct {
		const char *key, *value, *text;
	} rows[] = {
	    {"number", "6", "number: expected a number from -5 to 5"},
	    {"number", "\"1\"", "number: expected a number"},
	    {"tiny", "128", "tiny: expected"},
	    {"yes", "1", "yes: expected true or false"},
	    {"real", "null", "real: expected a number"},
	    {"text", "\"12345678\"", "text: expected a string of less than 8 bytes"},
	};
	const struct sample from = {.number = 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *obj = json_object();
		struct sample to = {0};
		struct err e = {""};

		assert_int_equal(fields_write(obj, &from, fields, ARRAY_LEN(fields)), 0);
		json_object_set_new(
		    obj, rows[i].key, json_loads(rows[i].value, JSON_DECODE_ANY, NULL));
		assert_int_equal(fields_read(obj, &to, fields, ARRAY_LEN(fields), &e), -1);
		assert_non_null(strstr(e.text, rows[i].text));
		json_object_del(obj, rows[i].key);
		assert_int_equal(fields_read(obj, &to, fields, ARRAY_LEN(fields), &e), -1);
		json_decref(obj);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
