/* Totals never go backwards: workers die, come, and write nonsense into their segments.
 * SPDX-License-Identifier: MIT */
#include "master/totals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#define WORKERS 64

static struct seg *
make_seg(unsigned slot)
{
	struct err e;
	int fd;
	struct seg *s = seg_create(slot, 1, 1, &fd, &e);

	assert_non_null(s);
	close(fd);
	return s;
}

static struct totals_snapshot
take(struct totals *t, struct seg **live, size_t n)
{
	static struct totals_snapshot s;

	totals_take(t, (const struct seg *const *)live, n, &s);
	return s;
}

static void
count_request(struct seg *s, uint64_t us)
{
	stat_add(s, STAT_requests, 1);
	seg_count_duration(s, DURATION_request, us * 1000);
	seg_count_size(s, SIZE_response, 300);
}

static void
test_sum_survives_death(void **state)
{
	struct totals t = {.n = 0};
	struct seg *live[3] = {make_seg(0), make_seg(1), make_seg(2)};
	struct totals_snapshot s;
	uint64_t last[STAT_COUNT];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 0; k <= i; k++)
			count_request(live[i], 1000);
		stat_add(live[i], STAT_connections, 10);
	}
	s = take(&t, live, 3);
	assert_int_equal(s.seq, 1);
	assert_int_equal(s.sum.stats[STAT_requests], 6);
	assert_int_equal(s.sum.stats[STAT_connections], 30);
	assert_int_equal(s.tallies.durations[DURATION_request].sum_us, 6000);
	assert_int_equal(totals_latency_count(s.sum.latency), 6);
	assert_int_equal(s.tallies.sizes[SIZE_response].classes[1], 6);
	assert_int_equal(s.tallies.sizes[SIZE_response].sum, 1800);
	/* It counts on after the last look, and dies. */
	count_request(live[1], 1000);
	totals_fold(&t, live[1], last);
	assert_int_equal(last[STAT_requests], 3);
	seg_close(live[1]);
	live[1] = live[2];
	s = take(&t, live, 2);
	assert_int_equal(s.seq, 2);
	assert_int_equal(s.sum.stats[STAT_requests], 7);
	assert_int_equal(s.sum.stats[STAT_connections], 20);
	assert_int_equal(totals_latency_count(s.sum.latency), 7);
	assert_int_equal(totals_of(&t, live[1])->seen.stats[STAT_requests], 3);
	/* One that was never looked at while it lived. */
	live[2] = make_seg(1);
	assert_null(totals_of(&t, live[2]));
	count_request(live[2], 1);
	totals_fold(&t, live[2], NULL);
	seg_close(live[2]);
	s = take(&t, live, 2);
	assert_int_equal(s.sum.stats[STAT_requests], 8);
	totals_fold(&t, live[0], NULL);
	totals_fold(&t, live[1], NULL);
	assert_int_equal(t.n, 0);
	s = take(&t, live, 0);
	assert_int_equal(s.sum.stats[STAT_requests], 8);
	assert_int_equal(s.tallies.sizes[SIZE_response].sum, 2400);
	assert_int_equal(s.sum.stats[STAT_connections], 0);
	seg_close(live[0]);
	seg_close(live[1]);
	totals_finish(&t);
}

/* A look, or death, may come between what a worker writes of one duration. */
static void
test_duration_half_written(void **state)
{
	struct totals t = {.n = 0};
	struct seg *live[1] = {make_seg(0)};
	struct seg_hist *app = &live[0]->durations[DURATION_app];
	struct totals_snapshot s;

	(void)state;
	counter_add(&app->bucket[hist_bucket(7000000)], 1);
	counter_add(&app->classes[hist_class(7000000)], 1);
	s = take(&t, live, 1);
	assert_int_equal(s.tallies.durations[DURATION_app].sum_us, 0);
	counter_add(&app->sum_us, 7000);
	s = take(&t, live, 1);
	assert_int_equal(s.tallies.durations[DURATION_app].sum_us, 7000);
	counter_add(&app->sum_us, 50);
	totals_fold(&t, live[0], NULL);
	assert_int_equal(t.dead_tallies.durations[DURATION_app].sum_us, 7050);
	assert_int_equal(
	    t.dead_tallies.durations[DURATION_app].bucket[hist_bucket(7000000)], 1);
	seg_close(live[0]);
	totals_finish(&t);
}

static void
test_hostile_segment(void **state)
{
	struct totals t = {.n = 0};
	struct seg *live[2] = {make_seg(0), make_seg(1)};
	struct totals_snapshot s;

	(void)state;
	stat_add(live[0], STAT_requests, 100);
	stat_add(live[1], STAT_requests, 5);
	live[0]->durations[DURATION_request].bucket[7] = 50;
	assert_int_equal(take(&t, live, 2).sum.stats[STAT_requests], 105);
	seg_count_code(live[0], 404);
	live[0]->accepted[SEG_LISTENERS - 1] = 9;
	seg_count_net(live[0], NET_COUNTS - 1);
	counter_add(req_table_find(&live[0]->requests, req_key(0, 1, 1)), 6);
	(void)take(&t, live, 2);
	live[0]->stats[STAT_requests] = 3;
	live[0]->durations[DURATION_request].bucket[7] = 0;
	live[0]->codes[404 - SEG_CODE_FIRST] = 0;
	live[0]->accepted[SEG_LISTENERS - 1] = UINT64_MAX;
	live[0]->net[NET_COUNTS - 1] = 0;
	memset(&live[0]->requests, 0, sizeof(live[0]->requests));
	s = take(&t, live, 2);
	assert_int_equal(s.sum.stats[STAT_requests], 105);
	assert_int_equal(s.sum.latency[7], 50);
	assert_int_equal(s.tallies.codes[404 - SEG_CODE_FIRST], 1);
	assert_int_equal(s.tallies.accepted[SEG_LISTENERS - 1], 9);
	assert_int_equal(s.tallies.net[NET_COUNTS - 1], 1);
	assert_int_equal(s.tallies.requests[REQ_TABLE_LISTENERS], 6);
	live[0]->stats[STAT_requests] = UINT64_MAX;
	live[0]->stats[STAT_connections] = (uint64_t)-1;
	s = take(&t, live, 2);
	assert_int_equal(s.sum.stats[STAT_requests], 105);
	assert_int_equal(s.sum.stats[STAT_connections], 0);
	/* The largest number each: the sum stays one, and does not wrap. */
	live[0]->stats[STAT_requests] = live[1]->stats[STAT_requests] = INT64_MAX;
	assert_true(take(&t, live, 2).sum.stats[STAT_requests] == INT64_MAX);
	live[0]->stats[STAT_requests] = 0;
	totals_fold(&t, live[0], NULL);
	totals_fold(&t, live[1], NULL);
	s = take(&t, live, 0);
	assert_true(s.sum.stats[STAT_requests] == INT64_MAX);
	assert_int_equal(s.tallies.codes[404 - SEG_CODE_FIRST], 1);
	assert_int_equal(s.tallies.accepted[SEG_LISTENERS - 1], 9);
	assert_int_equal(s.tallies.net[NET_COUNTS - 1], 1);
	assert_int_equal(s.tallies.requests[REQ_TABLE_LISTENERS], 6);
	seg_close(live[0]);
	seg_close(live[1]);
	totals_finish(&t);
}

static void
test_fields(void **state)
{
	(void)state;
	assert_string_equal(totals_fields[STAT_requests].name, "requests");
	assert_false(totals_fields[STAT_requests].gauge);
	assert_true(totals_fields[STAT_in_flight].gauge);
	assert_string_equal(totals_fields[STAT_out_body].unit, "bytes");
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* The master does this each second, and for each answer: it must cost it nothing. */
static void
test_cost(void **state)
{
	struct totals t = {.n = 0};
	struct seg *live[WORKERS];
	int64_t best = INT64_MAX;

	(void)state;
	for (unsigned i = 0; i < WORKERS; i++)
		live[i] = make_seg(i);
	for (int i = 0; i < 50; i++) {
		int64_t began = now_us();

		take(&t, live, WORKERS);
		best = MIN(best, now_us() - began);
	}
	print_message("%d workers: %lld us\n", WORKERS, (long long)best);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	assert_true(best < 50000); /* each load of a counter is a call */
#else
	assert_true(best < 5000);
#endif
	for (unsigned i = 0; i < WORKERS; i++)
		seg_close(live[i]);
	totals_finish(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sum_survives_death),
	    cmocka_unit_test(test_duration_half_written),
	    cmocka_unit_test(test_hostile_segment),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
