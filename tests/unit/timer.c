/* Timer queues: in order of expiry, whatever is set, moved and cleared.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/net/timer.h"

#include <stdlib.h>

#define TIMERS 64

static struct timerq queues[TIMER_KINDS];
static struct timer timers[TIMERS];

static int
prepare(void **state)
{
	(void)state;
	timerq_init(queues);
	queues[TIMER_APP].after_ns = 100;
	memset(timers, 0, sizeof(timers));
	return 0;
}

static void
test_constant_duration(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		timer_set(queues, &timers[i], TIMER_APP, i);
	timer_set(queues, &timers[0], TIMER_APP, 10); /* moves to the end */
	assert_null(timer_pop_expired(&queues[TIMER_APP], 100));
	assert_ptr_equal(timer_pop_expired(&queues[TIMER_APP], 102), &timers[1]);
	assert_ptr_equal(timer_pop_expired(&queues[TIMER_APP], 102), &timers[2]);
	assert_null(timer_pop_expired(&queues[TIMER_APP], 109));
	assert_ptr_equal(timer_pop_expired(&queues[TIMER_APP], 110), &timers[0]);
	assert_int_equal(timers[0].kind, TIMER_NONE);
	assert_null(timer_oldest(&queues[TIMER_APP]));
}

static void
test_kind_without_duration_never_expires(void **state)
{
	(void)state;
	timer_set(queues, &timers[0], TIMER_APP, 1);
	timer_set(queues, &timers[0], TIMER_WRITE, 1);
	assert_int_equal(timers[0].kind, TIMER_NONE);
	assert_null(timer_oldest(&queues[TIMER_APP]));
	assert_null(timer_oldest(&queues[TIMER_WRITE]));
}

static void
test_own_times_in_any_order(void **state)
{
	uint64_t last = 0;
	size_t n = 0;

	(void)state;
	srand(7);
	for (size_t round = 0; round < 40; round++)
		for (size_t i = 0; i < TIMERS; i++) {
			struct timer *t = &timers[(size_t)rand() % TIMERS];

			if (rand() % 5 == 0)
				timer_clear(t);
			else if (rand() % 9 == 0)
				timer_set(queues, t, TIMER_APP, round);
			else
				timer_set_at(
				    queues, t, TIMER_DEADLINE, (uint64_t)(rand() % 50));
		}
	for (size_t i = 0; i < TIMERS; i++)
		n += timers[i].kind == TIMER_DEADLINE;
	assert_true(n > 10);
	for (uint64_t now = 0; now < 50; now++) {
		struct timer *t;

		while ((t = timer_pop_expired(&queues[TIMER_DEADLINE], now)) != NULL) {
			assert_true(t->deadline_ns >= last && t->deadline_ns <= now);
			last = t->deadline_ns;
			n--;
		}
	}
	assert_int_equal(n, 0);
}

static void
test_equal_times_keep_their_order(void **state)
{
	(void)state;
	timer_set_at(queues, &timers[9], TIMER_STUCK, 8);
	for (size_t i = 0; i < 4; i++)
		timer_set_at(queues, &timers[i], TIMER_STUCK, 7);
	for (size_t i = 0; i < 4; i++)
		assert_ptr_equal(timer_pop_expired(&queues[TIMER_STUCK], 7), &timers[i]);
	assert_ptr_equal(timer_oldest(&queues[TIMER_STUCK]), &timers[9]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_constant_duration, prepare),
	    cmocka_unit_test_setup(test_kind_without_duration_never_expires, prepare),
	    cmocka_unit_test_setup(test_own_times_in_any_order, prepare),
	    cmocka_unit_test_setup(test_equal_times_keep_their_order, prepare),
	};

	return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
