/* Counters by place: a worker after the other adds up, and no sum wraps.
 * SPDX-License-Identifier: MIT */
#include "master/slot_counts.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_one_after_the_other(void **state)
{
	struct slot_counts c = {.requests = 5};
	uint64_t stats[STAT_COUNT] = {[STAT_requests] = 7};

	(void)state;
	slot_counts_add(&c, stats);
	slot_counts_add(&c, stats);
	assert_int_equal(c.requests, 19);
	slot_counts_add_cpu(&c, 3, 4);
	slot_counts_add_cpu(&c, 10, 0);
	assert_int_equal(c.user_ticks, 13);
	assert_int_equal(c.system_ticks, 4);
}

static void
test_no_sum_wraps(void **state)
{
	struct slot_counts c = {.requests = 5};
	uint64_t stats[STAT_COUNT] = {[STAT_requests] = INT64_MAX};

	(void)state;
	slot_counts_add(&c, stats);
	slot_counts_add(&c, stats);
	slot_counts_add_cpu(&c, UINT64_MAX, 1);
	slot_counts_add_cpu(&c, UINT64_MAX, 1);
	assert_true(c.requests == INT64_MAX && c.user_ticks == INT64_MAX);
}

static void
test_members(void **state)
{
	const struct slot_counts c = {.requests = 5};
	json_t *row = json_object();

	(void)state;
	slot_counts_put(&c, row);
	assert_int_equal(json_integer_value(json_object_get(row, "requests")), 5);
	json_decref(row);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_after_the_other),
	    cmocka_unit_test(test_no_sum_wraps),
	    cmocka_unit_test(test_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
