/* Jobs: which exclude each other, tokens, room for new ones, and the file that keeps them.
 * SPDX-License-Identifier: MIT */
#include "master/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

static const struct job_by by = {.uid = 1000, .pid = 4711, .comm = "shoalctl"};
static struct jobs jobs;
static unsigned changes;

static void
on_change(void *ctx, const struct job *j)
{
	(void)ctx;
	assert_non_null(j);
	changes++;
}

static int
setup(void **state)
{
	struct err e;

	(void)state;
	changes = 0;
	if (jobs_init(&jobs, NULL, &e) < 0)
		return -1;
	jobs.on_change = on_change;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	jobs_finish(&jobs);
	return 0;
}

static struct job *
start(enum job_kind kind, const char *token, const char **busy)
{
	return job_start(&jobs, kind, &by, token, busy);
}

static const struct {
	enum job_kind running, next;
	bool refused;
} pairs[] = {
    {JOB_RELOAD, JOB_RELOAD, true},
    {JOB_RELOAD, JOB_ROLLBACK, true},
    {JOB_SCALE, JOB_RECYCLE, true},
    {JOB_UPGRADE, JOB_SCALE, true},
    {JOB_STOP, JOB_RELOAD, true},
    {JOB_RELOAD, JOB_STOP, false},
    {JOB_STOP, JOB_STOP, false},
    {JOB_RELOAD, JOB_CHECK, false},
    {JOB_CHECK, JOB_CHECK, true},
    {JOB_RELOAD, JOB_DRAIN, false},
    {JOB_DRAIN, JOB_DRAIN, true},
};

static void
test_classes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		const char *busy = NULL;
		struct job *first = start(pairs[i].running, NULL, &busy);
		struct job *second = start(pairs[i].next, NULL, &busy);

		if ((second == NULL) != pairs[i].refused)
			fail_msg("%s beside %s", job_kind_name(pairs[i].next),
			    job_kind_name(pairs[i].running));
		if (second == NULL)
			assert_string_equal(busy, first->id);
		teardown(state);
		setup(state);
	}
}

static void
test_the_way_of_a_job(void **state)
{
	const char *busy;
	struct job *j = start(JOB_RELOAD, NULL, &busy);
	json_t *v;

	(void)state;
	assert_string_equal(j->id, "r-1");
	assert_ptr_equal(jobs_running(&jobs), j);
	j->generation_from = 1;
	j->generation_to = 2;
	j->total = 4;
	job_step(&jobs, j, JOB_PREFLIGHT, NULL);
	j->done = 3;
	job_step(&jobs, j, JOB_BOOTING, json_pack("{s:i}", "slot", 2));
	job_end(&jobs, j, JOB_FAILED, "import", "No module named 'shop'", STR("Traceback"));
	job_end(&jobs, j, JOB_DONE, NULL, NULL, STR(""));
	job_step(&jobs, j, JOB_BOOTING, NULL);
	assert_int_equal(changes, 4);
	assert_null(jobs_running(&jobs));
	v = job_to_json(j);
	assert_string_equal(json_string_value(json_object_get(v, "state")), "failed");
	assert_string_equal(json_string_value(json_object_get(v, "stage")), "import");
	assert_string_equal(
	    json_string_value(json_object_get(v, "traceback")), "Traceback");
	assert_int_equal(
	    json_integer_value(json_object_get(json_object_get(v, "progress"), "done")), 3);
	assert_int_equal(json_array_size(json_object_get(v, "steps")), 3);
	json_decref(v);
}

static void
test_tokens(void **state)
{
	const char *busy;
	struct job *j = start(JOB_RELOAD, "deploy-1", &busy);

	(void)state;
	assert_ptr_equal(start(JOB_RELOAD, "deploy-1", &busy), j);
	job_end(&jobs, j, JOB_DONE, NULL, NULL, STR(""));
	assert_ptr_equal(start(JOB_RELOAD, "deploy-1", &busy), j);
	j->started -= 601;
	assert_ptr_not_equal(start(JOB_RELOAD, "deploy-1", &busy), j);
}

static void
test_the_oldest_goes(void **state)
{
	const char *busy;
	struct job *running = start(JOB_CHECK, NULL, &busy);

	(void)state;
	for (int i = 0; i < JOBS_KEPT + 5; i++)
		job_end(
		    &jobs, start(JOB_SCALE, NULL, &busy), JOB_DONE, NULL, NULL, STR(""));
	assert_int_equal(jobs.n, JOBS_KEPT);
	assert_ptr_equal(jobs_find(&jobs, "k-1"), running);
	assert_null(jobs_find(&jobs, "s-2"));
	assert_string_equal(jobs.v[JOBS_KEPT - 1]->id, "s-56");
}

static void
test_steps_are_bounded(void **state)
{
	const char *busy;
	struct job *j = start(JOB_RELOAD, NULL, &busy);

	(void)state;
	for (int i = 0; i < 5000; i++)
		job_step(&jobs, j, JOB_BOOTING, json_object());
	assert_in_range(json_array_size(j->steps), 100, 300);
}

/* Events are kept by the thousand: what one of them says about a job stays small. */
static void
test_an_event_is_small(void **state)
{
	static char trace[2 * JOB_EVENT_TEXT_MAX + 1];
	const char *busy, *text;
	struct job *j = start(JOB_RELOAD, "token", &busy);
	json_t *v;

	(void)state;
	j->generation_from = 1;
	j->generation_to = 2;
	j->total = 4;
	for (int i = 0; i < 100; i++)
		job_step(&jobs, j, JOB_BOOTING, json_pack("{s:i}", "slot", i));
	v = job_to_event(j);
	assert_in_range(json_dumpb(v, NULL, 0, JSON_COMPACT), 100, 300);
	assert_int_equal(
	    json_integer_value(json_object_get(json_object_get(v, "progress"), "total")),
	    4);
	json_decref(v);
	/* Two bytes each, and the bound is in the middle of one. */
	for (size_t i = 0; i < sizeof(trace) - 3; i += 2)
		memcpy(trace + i, "\xc3\xa4", 3);
	memcpy(trace + sizeof(trace) - 3, "x", 2);
	job_end(&jobs, j, JOB_FAILED, "import", "it broke", str_of(trace));
	v = job_to_event(j);
	text = json_string_value(json_object_get(v, "traceback"));
	assert_in_range(strlen(text), JOB_EVENT_TEXT_MAX - 1, JOB_EVENT_TEXT_MAX);
	assert_string_equal(text + strlen(text) - 3, "\xc3\xa4x");
	assert_string_equal(json_string_value(json_object_get(v, "stage")), "import");
	assert_string_equal(json_string_value(json_object_get(v, "why")), "it broke");
	json_decref(v);
}

static void
test_the_file(void **state)
{
	char dir[] = "/tmp/shoal-job-XXXXXX", path[64];
	struct jobs later;
	const char *busy;
	struct err e;
	struct job *j;

	(void)state;
	assert_non_null(mkdtemp(dir));
	jobs_finish(&jobs);
	assert_int_equal(jobs_init(&jobs, dir, &e), 0);
	j = start(JOB_RELOAD, "t", &busy);
	job_end(&jobs, j, JOB_DONE, NULL, NULL, STR(""));
	start(JOB_SCALE, NULL, &busy);
	assert_int_equal(jobs_init(&later, dir, &e), 0);
	assert_int_equal(later.n, 2);
	assert_int_equal(later.last_number, 2);
	assert_string_equal(later.v[0]->token, "t");
	assert_int_equal(later.v[0]->state, JOB_DONE);
	/* Its master is gone. */
	assert_int_equal(later.v[1]->state, JOB_FAILED);
	assert_string_equal(later.v[1]->by.comm, "shoalctl");
	jobs_finish(&later);
	snprintf(path, sizeof(path), "%s/jobs.json", dir);
	assert_int_equal(truncate(path, 5), 0);
	assert_int_equal(jobs_init(&later, dir, &e), 0);
	assert_int_equal(later.n, 0);
	jobs_finish(&later);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(jobs_init(&later, dir, &e), -1);
	assert_non_null(strstr(e.text, dir));
	jobs_finish(&later);
}

static void
test_handing_on(void **state)
{
	const char *busy;
	struct job *j = start(JOB_UPGRADE, NULL, &busy);
	struct jobs later;
	struct err e;
	json_t *v;

	(void)state;
	job_step(&jobs, j, JOB_SWITCHING, NULL);
	v = jobs_to_json(&jobs);
	assert_int_equal(jobs_init(&later, NULL, &e), 0);
	assert_int_equal(jobs_from_json(&later, v, &e), 0);
	/* Its master is still the same process. */
	assert_int_equal(jobs_running(&later)->state, JOB_SWITCHING);
	json_decref(v);
	v = json_pack("{s:[{s:s}]}", "jobs", "kind", "nonsense");
	assert_int_equal(jobs_from_json(&later, v, &e), -1);
	json_decref(v);
	jobs_finish(&later);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_classes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_way_of_a_job, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_oldest_goes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_steps_are_bounded, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_an_event_is_small, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_handing_on, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
