/* The table of routes of one worker: names are found again, and it has an end.
 * SPDX-License-Identifier: MIT */
#include "worker/net/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void
test_names(void **state)
{
	struct routes t = {.n = 0};
	struct seg *s = calloc(1, sizeof(*s));
	char name[ACCT_KEY_MAX];

	(void)state;
	for (int again = 0; again < 2; again++) {
		for (unsigned i = 0; i < SEG_ROUTES; i++) {
			/* The same but for one byte, so that some begin at one place. */
			memset(name, 'a', sizeof(name));
			name[i] = 'b';
			assert_int_equal(routes_find(&t, s, name, sizeof(name)), i);
		}
		assert_int_equal(routes_find(&t, s, name, 8), SEG_ROUTES_OTHER);
		assert_int_equal(routes_find(&t, s, "/new", 4), SEG_ROUTES_OTHER);
	}
	assert_int_equal(s->routes[0].name_n, ACCT_KEY_MAX);
	assert_int_equal(s->routes[SEG_ROUTES_OTHER].name_n, 0);
	free(s);
}

/* Each bucket of a route ends where one of native schema 2 does. */
static void
test_buckets(void **state)
{
	(void)state;
	for (unsigned b = 0; b + 1 < SEG_ROUTE_BUCKETS; b++) {
		unsigned last = seg_route_bucket_last(b);
		uint64_t ns = (uint64_t)(hist_upper(last) * 1000);

		assert_int_equal((HIST_FIRST_INDEX + (int)last) % 4, 0);
		assert_int_equal(seg_route_bucket(ns - 1), b);
		assert_int_equal(seg_route_bucket(ns + 2), b + 1);
	}
	assert_int_equal(seg_route_bucket(UINT64_MAX), SEG_ROUTE_BUCKETS - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
