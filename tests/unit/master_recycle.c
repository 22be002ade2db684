/* When a worker is due to be replaced. SPDX-License-Identifier: MIT */
#include "master/recycle.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_draw(void **state)
{
	struct recycle_limits l;
	struct conf c;
	bool seen[4] = {false};

	(void)state;
	conf_init(&c);
	c.max_requests_jitter = c.max_age_jitter = 50;
	recycle_draw(&l, &c, 7, 7);
	assert_int_equal(l.max_requests, 0);
	assert_int_equal(l.max_age_ms, 0);
	assert_int_equal(l.max_rss, 0);
	c.max_requests = 100;
	c.max_requests_jitter = 3;
	c.max_age = 1000;
	c.max_rss = 4096;
	for (uint64_t random = 0; random < 1000; random++) {
		recycle_draw(&l, &c, random, random * 7919);
		assert_in_range(l.max_requests, 100, 103);
		assert_in_range(l.max_age_ms, 1000, 1050);
		seen[l.max_requests - 100] = true;
	}
	assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
	assert_int_equal(l.max_rss, 4096);
	c.max_age = c.max_age_jitter = c.max_requests = c.max_requests_jitter = INT64_MAX;
	recycle_draw(&l, &c, INT64_MAX, INT64_MAX);
	assert_true(l.max_requests == INT64_MAX && l.max_age_ms == INT64_MAX);
	conf_finish(&c);
}

static void
test_due(void **state)
{
	static const struct {
		struct recycle_limits limits;
		uint64_t requests;
		int64_t age_ms, rss;
		enum proc_reason due;
	} cases[] = {
	    {{0, 0, 0}, UINT64_MAX, INT64_MAX, INT64_MAX, PROC_REASONS},
	    {{10, 0, 0}, 9, INT64_MAX, INT64_MAX, PROC_REASONS},
	    {{10, 0, 0}, 10, 0, 0, PROC_MAX_REQUESTS},
	    {{0, 500, 0}, 1000, 499, 0, PROC_REASONS},
	    {{0, 500, 0}, 0, 500, 0, PROC_MAX_AGE},
	    {{0, 0, 4096}, 0, 0, 4096, PROC_REASONS},
	    {{0, 0, 4096}, 0, 0, 4097, PROC_MAX_RSS},
	    {{10, 500, 4096}, 10, 500, 4097, PROC_MAX_REQUESTS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(recycle_due(&cases[i].limits, cases[i].requests,
				     cases[i].age_ms, cases[i].rss),
		    cases[i].due);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_draw),
	    cmocka_unit_test(test_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
