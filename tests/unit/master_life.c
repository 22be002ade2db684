/* The life table of workers: every state and event, and random walks through it.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "master/life.h"

#define WALKS 20000
#define STEPS 60

static bool
needs_timer(enum life_state s)
{
	return s == LIFE_BOOTING || s == LIFE_DRAINING || s == LIFE_EXITING;
}

static void
test_every_pair(void **state)
{
	(void)state;
	for (int s = 0; s < LIFE_STATES; s++)
		for (int ev = 0; ev < LIFE_EVENTS; ev++) {
			struct life_step step = life_step(s, ev);

			assert_in_range(step.next, 0, LIFE_STATES - 1);
			if (s == LIFE_DEAD) {
				assert_int_equal(step.next, LIFE_DEAD);
				assert_int_equal(step.actions, 0);
				continue;
			}
			/* The end is the end from everywhere, and only it. */
			assert_int_equal(step.next == LIFE_DEAD, ev == LIFE_EV_EXITED);
			assert_int_equal(
			    (step.actions & LIFE_GONE) != 0, ev == LIFE_EV_EXITED);
			/* Who goes from waiting for nothing to waiting gets a timer. */
			if (needs_timer(step.next) && !needs_timer(s))
				assert_true(
				    step.actions & (LIFE_TIMER_DRAIN | LIFE_TIMER_EXIT));
			if (s == LIFE_BOOTING && !needs_timer(step.next))
				assert_true(step.actions & LIFE_TIMER_OFF);
			/* Signals that end a process only on the way out. */
			if (step.actions &
			    (LIFE_SIGNAL_KILL | LIFE_SIGNAL_ABORT | LIFE_SIGNAL_TERM))
				assert_int_equal(step.next, LIFE_EXITING);
		}
}

static void
test_orders_are_obeyed(void **state)
{
	(void)state;
	for (int s = 0; s < LIFE_DEAD; s++) {
		assert_int_equal(life_step(s, LIFE_EV_QUIT).next, LIFE_EXITING);
		if (s < LIFE_DRAINING)
			assert_true(life_step(s, LIFE_EV_DRAIN).actions & LIFE_EXPECTED);
		if (life_accepts(s))
			assert_int_equal(life_step(s, LIFE_EV_PARK).next, LIFE_PARKED);
	}
	assert_true(life_accepts(life_step(LIFE_PARKED, LIFE_EV_RESUME).next));
	/* Who was told to go does not come back. */
	for (int ev = 0; ev < LIFE_EVENTS; ev++) {
		assert_false(life_accepts(life_step(LIFE_DRAINING, ev).next));
		assert_false(life_accepts(life_step(LIFE_EXITING, ev).next));
	}
}

static void
test_random_walks(void **state)
{
	(void)state;
	srandom(1);
	for (int walk = 0; walk < WALKS; walk++) {
		enum life_state s = LIFE_BOOTING;
		bool ready = false, failed = false, gone = false, ticking = true;

		for (int i = 0; i < STEPS; i++) {
			enum life_event ev = (enum life_event)(random() % LIFE_EVENTS);
			struct life_step step = life_step(s, ev);

			if (step.actions & LIFE_NOTIFY_READY) {
				assert_false(ready || failed);
				ready = true;
			}
			if (step.actions & LIFE_NOTIFY_FAILED) {
				assert_false(ready || failed);
				failed = true;
			}
			if (step.actions & LIFE_GONE) {
				assert_false(gone);
				gone = true;
			}
			if (step.actions & LIFE_TIMER_OFF)
				ticking = false;
			if (step.actions & (LIFE_TIMER_DRAIN | LIFE_TIMER_EXIT))
				ticking = true;
			s = step.next;
			assert_int_equal(ticking, needs_timer(s));
			assert_int_equal(gone, s == LIFE_DEAD);
		}
	}
}

static void
test_names(void **state)
{
	(void)state;
	for (int s = 0; s < LIFE_STATES; s++)
		for (int other = 0; other < s; other++)
			assert_string_not_equal(life_name(s), life_name(other));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_pair),
	    cmocka_unit_test(test_orders_are_obeyed),
	    cmocka_unit_test(test_random_walks),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
