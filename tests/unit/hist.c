/* The histogram: every value falls where its boundaries say, and quantiles come back out.
 * SPDX-License-Identifier: MIT */
#include "common/hist.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What is above the boundary before and at most at its own. */
static void
check_value(uint64_t us)
{
	unsigned i = hist_bucket(us);

	assert_true(i < HIST_BUCKETS);
	if (i < HIST_BUCKETS - 1)
		assert_true((double)us <= hist_upper(i));
	if (i > 0)
		assert_true((double)us > hist_upper(i - 1));
}

static void
test_boundaries(void **state)
{
	double power = 1; /* 2^i */

	(void)state;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		double upper = hist_upper(i), sixteenth = upper;

		for (int doubled = 0; doubled < 4; doubled++)
			sixteenth *= sixteenth;
		assert_true(sixteenth / power > 1 - 1e-14 && sixteenth / power < 1 + 1e-14);
		power *= 2;
		check_value((uint64_t)upper);
		check_value((uint64_t)upper + 1);
	}
	for (unsigned e = 0; e <= 32; e++)
		assert_int_equal(hist_bucket(1ull << e), e * HIST_PER_DOUBLING);
}

static void
test_ends(void **state)
{
	(void)state;
	assert_int_equal(hist_bucket(0), 0);
	assert_int_equal(hist_bucket(1), 0);
	assert_int_equal(hist_bucket(2), 16);
	assert_int_equal(hist_bucket((1ull << 32) - 1), HIST_BUCKETS - 1);
	assert_int_equal(hist_bucket((1ull << 32) + 1), HIST_BUCKETS - 1);
	assert_int_equal(hist_bucket(UINT64_MAX), HIST_BUCKETS - 1);
}

static void
test_monotonic(void **state)
{
	unsigned before = 0;

	(void)state;
	for (uint64_t us = 0; us < 300000; us++) {
		unsigned i = hist_bucket(us);

		assert_true(i >= before);
		check_value(us);
		before = i;
	}
	for (uint64_t us = 1; us < UINT64_MAX / 3; us = us * 3 / 2 + 1)
		check_value(us);
}

static void
test_quantiles(void **state)
{
	static uint64_t counts[HIST_BUCKETS];
	static const double wanted[] = {0.01, 0.5, 0.9, 0.99, 0.999};

	(void)state;
	assert_true(hist_quantile(counts, 0.5) == 0);
	for (uint64_t us = 1; us <= 100000; us++)
		counts[hist_bucket(us)]++;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		double exact = wanted[i] * 100000, got = hist_quantile(counts, wanted[i]);

		assert_true(got >= exact && got <= exact * 1.0445);
	}
	assert_true(hist_quantile(counts, 1) >= 100000);
	memset(counts, 0, sizeof(counts));
	counts[0] = 1; /* a single one is every quantile */
	assert_true(hist_quantile(counts, 0) == 1 && hist_quantile(counts, 1) == 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_boundaries),
	    cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_monotonic),
	    cmocka_unit_test(test_quantiles),
	};

	return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
