/* The map of heat under an injected clock: columns, rows, quantiles, gaps, both rings.
 * SPDX-License-Identifier: MIT */
#include "master/heat.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROOT_2 1.4142135623730951
#define START_S 4800 /* both rings begin a cell */

struct feed {
	struct heat *h;
	struct totals_tallies t;
	int64_t now_s;
};

static int
setup(void **state)
{
	struct feed *f = calloc(1, sizeof(*f));

	f->h = heat_create();
	f->now_s = START_S;
	heat_feed(f->h, &f->t, f->now_s);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct feed *f = *state;

	heat_destroy(f->h);
	free(f);
	return 0;
}

static void
pass(struct feed *f, unsigned seconds, unsigned requests, uint64_t us)
{
	for (unsigned s = 0; s < seconds; s++) {
		f->t.durations[DURATION_request].bucket[hist_bucket(us * 1000)] += requests;
		heat_feed(f->h, &f->t, ++f->now_s);
	}
}

static uint64_t
sum_of(const struct heat_column *c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; c != NULL && i < HEAT_ROWS; i++)
		sum += c->rows[i];
	return sum;
}

static void
test_rows(void **state)
{
	(void)state;
	for (unsigned b = 0; b < HIST_BUCKETS - 1; b++) {
		/* Upper boundaries in microseconds: of the row, and of the one below. */
		const int row = HEAT_FIRST_ROW + (int)heat_row(b);
		const int odd = row & 1;
		const double upper = ldexp(odd ? 1e6 * ROOT_2 : 1e6, (row - odd) / 2);

		assert_true(heat_row(b) < HEAT_ROWS);
		assert_true(hist_upper(b) <= upper * 1.0001);
		assert_true(
		    row == HEAT_FIRST_ROW || hist_upper(b) > upper / ROOT_2 * 1.0001);
	}
	assert_true(heat_row(HIST_BUCKETS - 1) < HEAT_ROWS);
}

static void
test_columns(void **state)
{
	struct feed *f = *state;
	struct heat_range range;
	const struct heat_column *c;

	pass(f, 9, 7, 1000);
	assert_int_equal(heat_find(f->h, 600).n, 0); /* it is not over */
	pass(f, 1, 7, 1000);
	pass(f, 10, 0, 0);
	pass(f, 5, 1, 500000);
	pass(f, 15, 0, 0);
	range = heat_find(f->h, 600);
	assert_int_equal(range.step_s, 10);
	assert_int_equal(range.first_s, START_S);
	assert_int_equal(range.n, 4);
	c = heat_at(f->h, 0, &range, 0);
	assert_int_equal(sum_of(c), 70);
	assert_int_equal(c->rows[heat_row(hist_bucket(1000000))], 70);
	assert_true(c->p50_us > 950 && c->p999_us < 1050);
	assert_null(heat_at(f->h, 0, &range, 1));
	assert_int_equal(sum_of(heat_at(f->h, 0, &range, 2)), 5);
	assert_null(heat_at(f->h, 1, &range, 0)); /* another duration */
	range = heat_find(f->h, 15);
	assert_int_equal(range.n, 2);
	assert_int_equal(sum_of(heat_at(f->h, 0, &range, 0)), 5);
}

static void
test_gap(void **state)
{
	struct feed *f = *state;
	struct heat_range range;

	pass(f, 10, 1, 1000);
	f->now_s += 33; /* the master stood still */
	pass(f, 27, 1, 1000);
	range = heat_find(f->h, 600);
	assert_int_equal(range.n, 7);
	assert_int_equal(sum_of(heat_at(f->h, 0, &range, 0)), 10);
	for (unsigned i = 1; i < 4; i++)
		assert_null(heat_at(f->h, 0, &range, i));
	assert_int_equal(sum_of(heat_at(f->h, 0, &range, 5)), 10);
}

static void
test_rings_turn(void **state)
{
	struct feed *f = *state;
	struct heat_range range;

	pass(f, 86400 + 7200, 1, 1000);
	range = heat_find(f->h, 3600);
	assert_int_equal(range.step_s, 10);
	assert_int_equal(range.n, HEAT_COLUMNS);
	assert_int_equal(range.first_s + 3600, f->now_s);
	range = heat_find(f->h, 86400);
	assert_int_equal(range.step_s, 240);
	assert_int_equal(range.n, HEAT_COLUMNS);
	for (unsigned i = 0; i < range.n; i++)
		assert_int_equal(sum_of(heat_at(f->h, 0, &range, i)), 240);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test_setup_teardown(test_columns, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_gap, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rings_turn, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
