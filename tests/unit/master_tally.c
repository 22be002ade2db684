/* Starts and ends of workers: counted by reason and signal, and over an upgrade.
 * SPDX-License-Identifier: MIT */
#include "master/tally.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_reasons(void **state)
{
	static const struct {
		enum proc_reason gone;
		enum spawn_reason next;
	} cases[] = {
	    {PROC_CRASHED, SPAWN_CRASH},
	    {PROC_FAILED, SPAWN_CRASH},
	    {PROC_RELOADED, SPAWN_RELOAD},
	    {PROC_ROLLED_BACK, SPAWN_RELOAD},
	    {PROC_SCALED_DOWN, SPAWN_SCALE},
	    {PROC_RECYCLED, SPAWN_MANUAL},
	    {PROC_KILLED, SPAWN_MANUAL},
	    {PROC_MAX_REQUESTS, SPAWN_MAX_REQUESTS},
	    {PROC_MAX_AGE, SPAWN_LIFETIME},
	    {PROC_MAX_RSS, SPAWN_MEMORY},
	    {PROC_WAS_STUCK, SPAWN_TIMEOUT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(tally_reason(cases[i].gone), cases[i].next);
}

static json_int_t
find_exit(const json_t *v, const char *reason, const char *signal)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(v, "exits"), i, one)
	{
		if (strcmp(json_string_value(json_object_get(one, "reason")), reason) ==
			0 &&
		    strcmp(json_string_value(json_object_get(one, "signal")), signal) == 0)
			return json_integer_value(json_object_get(one, "count"));
	}
	return -1;
}

static void
test_there_and_back(void **state)
{
	struct tally t = {.spawns = {[SPAWN_MEMORY] = 3}}, back = {.spawns = {0}};
	json_t *v;

	(void)state;
	tally_exit(&t, PROC_CRASHED, SIGSEGV | 0x80); /* with a core */
	tally_exit(&t, PROC_CRASHED, SIGSEGV);
	tally_exit(&t, PROC_STOPPED, 7 << 8);
	tally_exit(&t, PROC_WAS_STUCK, SIGRTMIN + 3);
	v = tally_to_json(&t);
	assert_int_equal(find_exit(v, "crashed", "SIGSEGV"), 2);
	assert_int_equal(find_exit(v, "crashed", "none"), 0);
	assert_int_equal(find_exit(v, "crashed", "SIGKILL"), -1);
	assert_int_equal(find_exit(v, "stopped", "none"), 1);
	assert_int_equal(find_exit(v, "stuck", "37"), 1);
	tally_restore(&back, v);
	assert_memory_equal(&t, &back, sizeof(t));
	json_decref(v);
}

static void
test_nonsense(void **state)
{
	static const char *const texts[] = {"null", "{}", "{\"spawns\":7,\"exits\":{}}",
	    "{\"spawns\":{\"start\":-5},\"exits\":[3,{\"reason\":\"crashed\"},"
	    "{\"reason\":\"no\",\"signal\":\"none\",\"count\":4},"
	    "{\"reason\":\"crashed\",\"signal\":\"none\",\"count\":-4}]}"};
	static const struct tally none;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		json_t *v = json_loads(texts[i], JSON_DECODE_ANY, NULL);
		struct tally t = {.spawns = {0}};

		assert_non_null(v);
		tally_restore(&t, v);
		assert_memory_equal(&t, &none, sizeof(t));
		json_decref(v);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
