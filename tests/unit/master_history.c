/* The history of a day under an injected clock: rates, gauges, durations, gaps.
 * SPDX-License-Identifier: MIT */
#include "master/history.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define START_MS 5000000

struct feed {
	struct history *h;
	struct totals_counts counts;
	struct history_gauges gauges;
	int64_t now_ms;
};

static int
setup(void **state)
{
	struct feed *f = calloc(1, sizeof(*f));

	f->h = history_create();
	f->now_ms = START_MS;
	history_feed(f->h, &f->counts, &f->gauges, f->now_ms);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct feed *f = *state;

	history_destroy(f->h);
	free(f);
	return 0;
}

/* `requests` of `us` each within so many seconds, then a feed. */
static void
pass(struct feed *f, unsigned seconds, unsigned requests, uint64_t us)
{
	f->now_ms += seconds * 1000;
	f->counts.stats[STAT_requests] += requests;
	f->counts.stats[STAT_out_head] += requests;
	f->counts.stats[STAT_out_body] += 2 * requests;
	f->counts.latency[hist_bucket(us * 1000)] += requests;
	history_feed(f->h, &f->counts, &f->gauges, f->now_ms);
}

static size_t
read_all(struct feed *f, enum history_series s, unsigned since_s, unsigned step_s,
    float *points, struct history_range *range)
{
	*range = history_find(f->h, since_s, step_s);
	assert_true(range->n <= HISTORY_COARSE);
	history_read(f->h, s, range, points);
	return range->n;
}

static float points[HISTORY_COARSE];

static void
test_by_the_second(void **state)
{
	struct feed *f = *state;
	struct history_range range;

	assert_int_equal(read_all(f, HISTORY_rps, 3600, 1, points, &range), 0);
	assert_true(history_rate(f->h, HISTORY_rps, 10) == 0);
	f->gauges.workers_ready = 8;
	f->counts.stats[STAT_connections] = 30;
	pass(f, 1, 100, 1000);
	pass(f, 1, 50, 2000);
	assert_int_equal(read_all(f, HISTORY_rps, 3600, 1, points, &range), 2);
	assert_int_equal(range.first_s, START_MS / 1000 + 1);
	assert_true(points[0] == 100 && points[1] == 50);
	read_all(f, HISTORY_bytes_out, 3600, 1, points, &range);
	assert_true(points[0] == 300 && points[1] == 150);
	read_all(f, HISTORY_workers_ready, 3600, 1, points, &range);
	assert_true(points[1] == 8);
	read_all(f, HISTORY_connections, 3600, 1, points, &range);
	assert_true(points[1] == 30);
	read_all(f, HISTORY_p99_us, 3600, 1, points, &range);
	assert_true(fabsf(points[0] / 1000 - 1) < 0.05f);
	assert_true(fabsf(points[1] / 2000 - 1) < 0.05f);
	/* The last of two seconds. */
	assert_int_equal(read_all(f, HISTORY_rps, 1, 1, points, &range), 1);
	assert_true(points[0] == 50);
	/* A second feed within a second is none. */
	f->now_ms += 300;
	history_feed(f->h, &f->counts, &f->gauges, f->now_ms);
	assert_int_equal(read_all(f, HISTORY_rps, 3600, 1, points, &range), 2);
}

static void
test_network_cards(void **state)
{
	struct feed *f = *state;
	struct history_range range;

	f->gauges.nic = (struct procfs_nic){4000, 700};
	pass(f, 1, 1, 1000);
	f->gauges.nic = (struct procfs_nic){5000, 900};
	f->counts.stats[STAT_out_undelivered] += 60;
	pass(f, 2, 1, 1000);
	f->gauges.nic = (struct procfs_nic){-1, -1};
	pass(f, 1, 1, 1000);
	f->gauges.nic = (struct procfs_nic){10, 10};
	pass(f, 1, 1, 1000);
	assert_int_equal(read_all(f, HISTORY_nic_in, 3600, 1, points, &range), 5);
	assert_true(points[0] == 4000 && points[1] == 500 && points[2] == 500);
	assert_true(isnan(points[3]) && isnan(points[4]));
	read_all(f, HISTORY_nic_out, 3600, 1, points, &range);
	assert_true(points[1] == 100);
	read_all(f, HISTORY_bytes_undelivered, 3600, 1, points, &range);
	assert_true(points[0] == 0 && points[1] == 30);
}

static void
test_gap(void **state)
{
	struct feed *f = *state;
	struct history_range range;

	/* The master stood still for four seconds; nothing was lost. */
	pass(f, 4, 400, 1000);
	pass(f, 1, 0, 0);
	assert_int_equal(read_all(f, HISTORY_rps, 3600, 1, points, &range), 5);
	for (size_t i = 0; i < 4; i++)
		assert_true(points[i] == 100);
	assert_true(points[4] == 0);
	read_all(f, HISTORY_p50_us, 3600, 1, points, &range);
	assert_true(isnan(points[4]));
	/* It slept for longer than the hour. */
	pass(f, 7200, 10, 1000);
	assert_int_equal(read_all(f, HISTORY_rps, 3600, 1, points, &range), 0);
	pass(f, 1, 7, 1000);
	assert_int_equal(read_all(f, HISTORY_rps, 3600, 1, points, &range), 1);
	assert_true(points[0] == 7);
}

static void
test_rates_and_window(void **state)
{
	struct feed *f = *state;
	uint64_t counts[HIST_BUCKETS];
	double covered;

	for (int i = 0; i < 100; i++)
		pass(f, 1, 10, 100);
	for (int i = 0; i < 5; i++)
		pass(f, 1, 110, 10000);
	assert_true(fabs(history_rate(f->h, HISTORY_rps, 10) - 60) < 1e-6);
	covered = history_latency(f->h, &f->counts, f->now_ms, counts);
	assert_true(fabs(covered - 60) < 1e-6);
	assert_int_equal(totals_latency_count(counts), 55 * 10 + 5 * 110);
	assert_true(fabs(hist_quantile(counts, 0.5) / 100 - 1) < 0.05);
	assert_true(fabs(hist_quantile(counts, 0.9) / 10000 - 1) < 0.05);
}

static void
test_a_day(void **state)
{
	struct feed *f = *state;
	struct history_range range;
	size_t n;

	for (int i = 0; i < 26 * 3600; i++)
		pass(f, 1, i % 20 < 10 ? 0 : 20, 500);
	assert_int_equal(
	    read_all(f, HISTORY_rps, UINT32_MAX, 1, points, &range), HISTORY_FINE);
	assert_int_equal(range.first_s + HISTORY_FINE, f->now_ms / 1000 + 1);
	n = read_all(f, HISTORY_rps, 86400, 10, points, &range);
	assert_int_equal(n, HISTORY_COARSE);
	assert_int_equal(range.step_s, 10);
	/* The pattern has a period of 20 s and may be off by one against the cells. */
	for (size_t i = 0; i + 1 < n; i++)
		assert_true(fabsf(points[i] + points[i + 1] - 20) < 0.01f);
	n = read_all(f, HISTORY_rps, 3600, 65, points, &range);
	assert_int_equal(range.step_s, 60);
	assert_int_equal(range.first_s % 60, 0);
	assert_in_range(n, 59, 60);
	for (size_t i = 0; i < n; i++)
		assert_true(fabsf(points[i] - 10) < 0.01f);
	n = read_all(f, HISTORY_p99_us, 3600, 60, points, &range);
	assert_true(n > 0 && fabsf(points[0] / 500 - 1) < 0.05f);
}

static void
test_names(void **state)
{
	(void)state;
	assert_int_equal(history_series_find("bytes_out"), HISTORY_bytes_out);
	assert_int_equal(history_series_find("nonsense"), HISTORY_SERIES_COUNT);
	assert_true(sizeof(struct history) < 4 << 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_by_the_second, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_network_cards, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_gap, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rates_and_window, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_day, setup, teardown),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
