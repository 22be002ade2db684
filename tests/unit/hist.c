/* The histogram: every value falls where its boundaries say, and quantiles come back out.
 * SPDX-License-Identifier: MIT */
#include "common/hist.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The truth, with more digits than a double has. */
static int
index_of(uint64_t ns)
{
	return (int)ceill(log2l((long double)ns / 1e9L) * 16);
}

static void
check_value(uint64_t ns)
{
	int want = index_of(ns) - HIST_FIRST_INDEX;

	want = want < 0 ? 0 : want;
	want = want >= HIST_BUCKETS ? HIST_BUCKETS - 1 : want;
	if ((int)hist_bucket(ns) != want)
		fail_msg("%llu ns: bucket %u, not %d", (unsigned long long)ns,
		    hist_bucket(ns), want);
}

static void
test_boundaries(void **state)
{
	(void)state;
	for (int i = 0; i < HIST_BUCKETS - 1; i++) {
		double want = 1e6 * exp2((i + HIST_FIRST_INDEX) / 16.0);

		assert_true(fabs(hist_upper((unsigned)i) / want - 1) < 1e-14);
		/* The last nanosecond that belongs to it, and the first that does not. */
		check_value((uint64_t)(want * 1e3));
		check_value((uint64_t)(want * 1e3) + 1);
	}
	assert_true(
	    hist_upper(HIST_BUCKETS - 1) == hist_upper(HIST_BUCKETS - 2)); /* no guess */
	/* Powers of two of a second are boundaries, and belong to the bucket below. */
	assert_int_equal(hist_bucket(1000000000), -HIST_FIRST_INDEX);
	assert_int_equal(hist_bucket(500000000), -16 - HIST_FIRST_INDEX);
	assert_int_equal(hist_bucket(2000000000), 16 - HIST_FIRST_INDEX);
	assert_int_equal(hist_bucket(2000000001), 17 - HIST_FIRST_INDEX);
}

static void
test_ends(void **state)
{
	(void)state;
	assert_int_equal(hist_bucket(0), 0);
	assert_int_equal(hist_bucket(1), 0);
	for (uint64_t ns = 990; ns < 1100; ns++)
		check_value(ns);
	assert_int_equal(hist_bucket(3757000000000), HIST_BUCKETS - 1);
	assert_int_equal(hist_bucket(UINT64_MAX), HIST_BUCKETS - 1);
}

static void
test_random(void **state)
{
	uint64_t x = 88172645463325252ull;

	(void)state;
	for (int i = 0; i < 300000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		check_value((x >> (x & 31) >> 20) + 1);
	}
}

static void
test_classes(void **state)
{
	(void)state;
	assert_int_equal(hist_class(0), 0);
	for (unsigned i = 0; i < HIST_BOUNDS; i++) {
		assert_int_equal(hist_class(hist_bounds_ns[i]), i);
		assert_int_equal(hist_class(hist_bounds_ns[i] + 1), i + 1);
	}
	assert_int_equal(hist_class(UINT64_MAX), HIST_CLASSES - 1);
}

static void
test_sizes(void **state)
{
	(void)state;
	assert_int_equal(hist_size_bound(0), 256);
	assert_true(hist_size_bound(HIST_SIZE_BOUNDS - 1) == 1ull << 30);
	assert_int_equal(hist_size_class(0), 0);
	assert_int_equal(hist_size_class(1), 0);
	for (unsigned i = 0; i < HIST_SIZE_BOUNDS; i++) {
		assert_int_equal(hist_size_class(hist_size_bound(i) - 1), i);
		assert_int_equal(hist_size_class(hist_size_bound(i)), i);
		assert_int_equal(hist_size_class(hist_size_bound(i) + 1), i + 1);
	}
	assert_int_equal(hist_size_class(UINT64_MAX), HIST_SIZE_CLASSES - 1);
}

static void
test_quantiles(void **state)
{
	static uint64_t counts[HIST_BUCKETS];
	static const double wanted[] = {0.01, 0.5, 0.9, 0.99, 0.999};

	(void)state;
	assert_true(hist_quantile(counts, 0.5) == 0);
	for (uint64_t us = 1; us <= 100000; us++)
		counts[hist_bucket(us * 1000)]++;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		double exact = wanted[i] * 100000, got = hist_quantile(counts, wanted[i]);

		assert_true(got >= exact && got <= exact * 1.0445);
	}
	assert_true(hist_quantile(counts, 1) >= 100000);
	memset(counts, 0, sizeof(counts));
	counts[0] = 1; /* a single one is every quantile */
	assert_true(hist_quantile(counts, 0) == hist_upper(0) &&
		    hist_quantile(counts, 1) == hist_upper(0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_boundaries),
	    cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_classes),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_quantiles),
	};

	return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
