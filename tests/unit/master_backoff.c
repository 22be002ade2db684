/* The pauses between one worker's death and the next start.
 * SPDX-License-Identifier: MIT */
#include "master/backoff.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_doubles_up_to_the_bound(void **state)
{
	static const int64_t load[] = {
	    100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
	struct backoff b = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(load); i++)
		assert_int_equal(backoff_next(&b, 10, false), load[i]);
	for (int i = 0; i < 100; i++)
		assert_int_equal(backoff_next(&b, 10, false), BACKOFF_LOAD_MAX_MS);
}

static void
test_a_worker_that_served_comes_back_soon(void **state)
{
	static const int64_t served[] = {100, 200, 400, 800, 1000, 1000};
	struct backoff b = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(served); i++)
		assert_int_equal(backoff_next(&b, BACKOFF_HEALTHY_MS - 1, true), served[i]);
}

static void
test_a_healthy_life_is_a_fresh_start(void **state)
{
	struct backoff b = {0};

	(void)state;
	assert_int_equal(backoff_next(&b, BACKOFF_HEALTHY_MS, true), 0);
	assert_int_equal(backoff_next(&b, 10, true), 100);
	assert_int_equal(backoff_next(&b, 10, true), 200);
	assert_int_equal(backoff_next(&b, 3600000, true), 0);
	assert_int_equal(backoff_next(&b, 10, true), 100);
}

static void
test_loading_for_long_is_no_healthy_life(void **state)
{
	struct backoff b = {0};

	(void)state;
	assert_int_equal(backoff_next(&b, 60000, false), 100);
	assert_int_equal(backoff_next(&b, 60000, false), 200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_doubles_up_to_the_bound),
	    cmocka_unit_test(test_a_worker_that_served_comes_back_soon),
	    cmocka_unit_test(test_a_healthy_life_is_a_fresh_start),
	    cmocka_unit_test(test_loading_for_long_is_no_healthy_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
