/* The master's counts of itself: classes, the last reload, there and back as JSON.
 * SPDX-License-Identifier: MIT */
#include "master/selfcount.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct selfcount s, again;
static struct events ev, ev_again;

static int
setup(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	memset(&again, 0, sizeof(again));
	memset(&ev, 0, sizeof(ev));
	memset(&ev_again, 0, sizeof(ev_again));
	return 0;
}

static void
end_reload(enum job_kind kind, enum job_state state, bool bluegreen, double took)
{
	const struct job j = {
	    .kind = kind, .state = state, .started = 1000.5, .ended = 1000.5 + took};

	selfcount_reload(&s, &j, bluegreen);
}

static void
test_reloads(void **state)
{
	(void)state;
	assert_false(s.reloaded);
	end_reload(JOB_RELOAD, JOB_CANCELLED, false, 1);
	assert_false(s.reloaded);
	end_reload(JOB_RELOAD, JOB_DONE, true, 0.0625);
	assert_true(s.reloaded && s.reload_ok);
	end_reload(JOB_UPGRADE, JOB_ROLLED_BACK, false, 7200);
	end_reload(JOB_RELOAD, JOB_CANCELLED, false, 2);
	assert_true(s.reloaded && !s.reload_ok);
	assert_true(s.reload_at == 8200.5);
	end_reload(JOB_ROLLBACK, JOB_FAILED, true, -5); /* the clock was set back */
	assert_int_equal(s.reloads[SELFCOUNT_ROLLING][JOB_CANCELLED - JOB_DONE], 2);
	assert_int_equal(s.reloads[SELFCOUNT_BLUEGREEN][JOB_DONE - JOB_DONE], 1);
	assert_int_equal(s.reloads[SELFCOUNT_UPGRADE][JOB_ROLLED_BACK - JOB_DONE], 1);
	assert_int_equal(s.reloads[SELFCOUNT_ROLLBACK][JOB_FAILED - JOB_DONE], 1);
	assert_int_equal(s.reload_times[SELFCOUNT_BLUEGREEN].classes[0], 1);
	assert_int_equal(s.reload_times[SELFCOUNT_BLUEGREEN].sum_us, 62500);
	assert_int_equal(s.reload_times[SELFCOUNT_UPGRADE].classes[HIST_BOUNDS], 1);
	assert_int_equal(s.reload_times[SELFCOUNT_ROLLBACK].classes[0], 1);
	assert_int_equal(s.reload_times[SELFCOUNT_ROLLBACK].sum_us, 0);
}

static void
test_classes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HIST_BOUNDS; i++) {
		int64_t us = (int64_t)selfcount_loop_bounds_ns[i] / 1000;

		selfcount_loop_lag(&s, us);
		assert_int_equal(s.loop_lag.classes[i], 1 + (i > 0));
		selfcount_loop_lag(&s, us + 1);
		assert_int_equal(s.loop_lag.classes[i + 1], 1);
	}
	selfcount_loop_lag(&s, INT64_MAX);
	assert_int_equal(s.loop_lag.classes[HIST_BOUNDS], 2);
	for (unsigned i = 1; i < HIST_BOUNDS; i++)
		assert_true(
		    selfcount_loop_bounds_ns[i] > selfcount_loop_bounds_ns[i - 1] &&
		    selfcount_reload_bounds_ns[i] > selfcount_reload_bounds_ns[i - 1]);
}

static void
test_there_and_back(void **state)
{
	json_t *before, *after;

	(void)state;
	end_reload(JOB_RELOAD, JOB_DONE, false, 3.25);
	end_reload(JOB_UPGRADE, JOB_FAILED, false, 0.3);
	selfcount_call(&s, CTL_M_server_ping, true, 7);
	selfcount_call(&s, CTL_METHODS, false, 3000000);
	selfcount_loop_lag(&s, 1234567);
	s.events_lost = 74699;
	ev.counts[EVENT_reload_done] = 5;
	before = selfcount_to_json(&s, &ev);
	selfcount_restore(&again, &ev_again, before);
	after = selfcount_to_json(&again, &ev_again);
	assert_true(json_equal(before, after));
	assert_memory_equal(&again, &s, sizeof(s));
	/* Only what was called is told: an ok and an error of each. */
	assert_int_equal(json_array_size(json_object_get(before, "calls")), 4);
	assert_null(json_object_get(json_object_get(before, "events"), "log"));
	json_decref(before);
	json_decref(after);
}

static void
test_from_another_binary(void **state)
{
	static const char text[] =
	    "{\"reloads\":[{\"mode\":\"lunar\",\"result\":\"done\",\"count\":1},"
	    "{\"mode\":\"rolling\",\"result\":\"?\",\"count\":1},"
	    "{\"mode\":\"rolling\",\"result\":\"done\",\"count\":-4},7],"
	    "\"reload_durations\":[{\"mode\":\"lunar\"},{}],\"last_reload\":null,"
	    "\"calls\":[{\"method\":\"gone.by\",\"result\":\"ok\",\"count\":3},"
	    "{\"method\":\"server.ping\",\"result\":\"maybe\",\"count\":3},null],"
	    "\"call_durations\":{\"classic\":{\"counts\":[1,2]},\"sum_s\":-1.5},"
	    "\"events\":{\"no.such\":9},\"events_lost\":\"x\",\"loop_lag\":[]}";
	json_t *v = json_loads(text, 0, NULL);

	(void)state;
	assert_non_null(v);
	selfcount_restore(&s, &ev, v);
	selfcount_restore(&s, &ev, NULL);
	again.calls[CTL_METHODS][1] = 3; /* a method that is no more is another */
	again.call_times.classes[0] = 1;
	again.call_times.classes[1] = 2;
	assert_memory_equal(&again, &s, sizeof(s));
	assert_memory_equal(&ev_again, &ev, sizeof(ev));
	json_decref(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_reloads, setup),
	    cmocka_unit_test_setup(test_classes, setup),
	    cmocka_unit_test_setup(test_there_and_back, setup),
	    cmocka_unit_test_setup(test_from_another_binary, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
