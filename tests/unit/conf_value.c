/* Values as text: what each parser takes and refuses, and that printing is exact.
 * SPDX-License-Identifier: MIT */
#include "common/conf_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

typedef int parse_fn(const char *s, int64_t *out);

static const struct {
	parse_fn *parse;
	const char *text;
	int64_t want; /* -1: refused */
} numbers[] = {
    {conf_value_int, "0", 0},
    {conf_value_int, "1024", 1024},
    {conf_value_int, "9223372036854775807", INT64_MAX},
    {conf_value_int, "9223372036854775808", -1},
    {conf_value_int, "", -1},
    {conf_value_int, "-", -1},
    {conf_value_int, "+4", -1},
    {conf_value_int, "4 ", -1},
    {conf_value_int, "04", -1},
    {conf_value_int, "0x10", -1},
    {conf_value_int, "4.0", -1},
    {conf_value_duration, "30", 30000},
    {conf_value_duration, "0", 0},
    {conf_value_duration, "0.5", 500},
    {conf_value_duration, "0.0009", 0},
    {conf_value_duration, "30s", 30000},
    {conf_value_duration, "250ms", 250},
    {conf_value_duration, "1h30m", 5400000},
    {conf_value_duration, "1.5h", 5400000},
    {conf_value_duration, "2D", 172800000},
    {conf_value_duration, "1d2h3m4s5ms", 93784005},
    {conf_value_duration, "30m1h", -1},
    {conf_value_duration, "1h1h", -1},
    {conf_value_duration, "1h30", -1},
    {conf_value_duration, "s", -1},
    {conf_value_duration, "-1", -1},
    {conf_value_duration, "1 s", -1},
    {conf_value_duration, ".5", -1},
    {conf_value_duration, "1.", -1},
    {conf_value_duration, "1w", -1},
    {conf_value_duration, "1e3", -1},
    {conf_value_duration, "", -1},
    {conf_value_duration, "inf", -1},
    {conf_value_duration, "99999999999999999999", -1},
    {conf_value_duration, "9223372036854775807d", -1},
    {conf_value_size, "65536", 65536},
    {conf_value_size, "0", 0},
    {conf_value_size, "10b", 10},
    {conf_value_size, "64k", 65536},
    {conf_value_size, "64K", 65536},
    {conf_value_size, "64kb", 65536},
    {conf_value_size, "64KiB", 65536},
    {conf_value_size, "1MiB", 1048576},
    {conf_value_size, "1.5G", 1610612736},
    {conf_value_size, "2T", INT64_C(2199023255552)},
    {conf_value_size, "1.5", -1},
    {conf_value_size, "k", -1},
    {conf_value_size, "1x", -1},
    {conf_value_size, "1kk", -1},
    {conf_value_size, "-1k", -1},
    {conf_value_size, "9223372036854775807k", -1},
    {conf_value_mode, "022", 022},
    {conf_value_mode, "0o640", 0640},
    {conf_value_mode, "0", 0},
    {conf_value_mode, "0777", 0777},
    {conf_value_mode, "22", -1},
    {conf_value_mode, "0o", -1},
    {conf_value_mode, "08", -1},
    {conf_value_mode, "077777777777777777777777", -1},
    {conf_value_mode, "", -1},
};

static void
test_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		int64_t got = -7;
		int rc = numbers[i].parse(numbers[i].text, &got);

		if ((rc == 0) != (numbers[i].want >= 0) ||
		    (rc == 0 && got != numbers[i].want))
			fail_msg(
			    "\"%s\": rc %d, %lld", numbers[i].text, rc, (long long)got);
	}
	assert_int_equal(conf_value_int("-5", &(int64_t){0}), 0);
}

static const struct {
	const char *text;
	int want; /* -1: refused */
} truths[] = {
    {"true", 1},
    {"YES", 1},
    {"on", 1},
    {"1", 1},
    {"false", 0},
    {"No", 0},
    {"off", 0},
    {"0", 0},
    {"", -1},
    {"2", -1},
    {"truely", -1},
};

static void
test_truth(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(truths); i++) {
		bool got = false;
		int rc = conf_value_bool(truths[i].text, &got);

		assert_int_equal(rc == 0 ? got : -1, truths[i].want);
	}
}

static const struct {
	int64_t value;
	const char *duration, *size;
} printed[] = {
    {0, "0", "0"},
    {1, "1ms", "1"},
    {1024, "1s24ms", "1k"},
    {30000, "30s", "30000"},
    {5400000, "1h30m", "5400000"},
    {1048576, "17m28s576ms", "1M"},
    {INT64_MAX, "106751991167d7h12m55s807ms", "9223372036854775807"},
};

static void
test_printing(void **state)
{
	char buf[CONF_VALUE_TEXT_MAX];
	int64_t back;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(printed); i++) {
		assert_string_equal(
		    conf_value_duration_text(printed[i].value, buf), printed[i].duration);
		assert_int_equal(conf_value_duration(buf, &back), 0);
		assert_int_equal(back, printed[i].value);
		assert_string_equal(
		    conf_value_size_text(printed[i].value, buf), printed[i].size);
		assert_int_equal(conf_value_size(buf, &back), 0);
		assert_int_equal(back, printed[i].value);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_truth),
	    cmocka_unit_test(test_printing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
