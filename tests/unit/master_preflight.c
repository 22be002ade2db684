/* The configuration read again: its answer, its refusals, its limits, and what differs.
 * SPDX-License-Identifier: MIT */
#include "master/preflight.h"

#include "common/conf_set.h"
#include "tests/unit/conf_input.h"

#include <event2/event.h>
#include <sys/wait.h>

struct seen {
	bool done;
	bool accepted;
	char why[1024];
	char said[4096];
	char notice[256];
	struct conf conf;
};

static void
on_done(void *ctx, const struct preflight_result *r)
{
	struct seen *s = ctx;

	s->done = true;
	s->accepted = r->conf != NULL;
	snprintf(s->why, sizeof(s->why), "%s", r->why);
	snprintf(s->said, sizeof(s->said), "%.*s", (int)r->said.n, r->said.p);
	if (r->notices.n > 0)
		snprintf(s->notice, sizeof(s->notice), "%s", r->notices.v[0]);
	if (r->conf != NULL)
		conf_move(&s->conf, r->conf);
}

/* The loop runs only for the time limit: the end of the process is waited for. */
static void
run(struct seen *s, const struct input *in, const char *file)
{
	struct event_base *base = event_base_new();
	char *argv[ARGS_MAX + 1] = {(char *)(uintptr_t) "shoal"};
	struct preflight p = {.on_done = on_done, .ctx = s};
	struct err e;
	int argc = 1, status;
	pid_t pid;

	for (; argc <= ARGS_MAX && in->args[argc - 1] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)in->args[argc - 1];
	set_environment(in);
	write_file("shop.json", in->file);
	write_file("gunicorn.conf.py", in->py);
	preflight_init(&p);
	assert_int_equal(preflight_start(&p, base, argc, argv, file, &e), 0);
	assert_int_equal(preflight_start(&p, base, argc, argv, file, &e), -1);
	pid = waitpid(p.pid, &status, 0);
	assert_false(preflight_reap(&p, pid + 1, status));
	assert_true(preflight_reap(&p, pid, status));
	assert_false(preflight_reap(&p, pid, status));
	assert_true(s->done);
	preflight_finish(&p);
	event_base_free(base);
}

static void
test_accepted(void **state)
{
	struct input in = {A("a:b", "-w", "3", "--max-memory", "5"),
	    .py = "import sys\nprint('hello', file=sys.stderr)\ntimeout = 7\n"};
	struct seen s = {0};

	(void)state;
	run(&s, &in, NULL);
	if (!s.accepted)
		fail_msg("%s", s.why);
	assert_string_equal(s.conf.app, "a:b");
	assert_int_equal(s.conf.workers, 3);
	assert_string_equal(s.conf.origin[CONF_workers], "command line");
	assert_int_equal(s.conf.timeout, 7000);
	assert_string_equal(s.conf.origin[CONF_timeout], "gunicorn.conf.py");
	assert_null(s.conf.origin[CONF_threads]);
	assert_non_null(strstr(s.conf.config_file, "/gunicorn.conf.py"));
	assert_string_equal(s.said, "hello\n");
	assert_non_null(strstr(s.notice, "--max-memory 5"));
	conf_finish(&s.conf);
}

static void
test_other_file(void **state)
{
	struct input in = {A("a:b", "--", "-c"), .file = "{\"workers\": 9}"};
	struct seen s = {0};

	(void)state;
	in.args[1] = "-cnothere.json";
	in.args[2] = NULL;
	run(&s, &in, "shop.json");
	if (!s.accepted)
		fail_msg("%s", s.why);
	assert_int_equal(s.conf.workers, 9);
	assert_non_null(strstr(s.conf.config_file, "/shop.json"));
	conf_finish(&s.conf);
}

static const struct {
	struct input in;
	const char *why, *said;
} refused[] = {
    {{A("a:b", "-w0")},
	"--workers \"0\" (command line): expected a whole number from 1 to 1024", ""},
    {{FILE_AND_APP, .file = "{\"workers\": 4,}"},
	"shop.json:1:15: string or '}' expected near '}'", ""},
    {{A("a:b"), .py = "workers = nothing\n"},
	"config file gunicorn.conf.py: failed, see the traceback above",
	"NameError: name 'nothing' is not defined\n"},
    {{A("a:b"), .py = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"},
	"the process that read the configuration died of signal 9", ""},
};

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct seen s = {0};

		run(&s, &refused[i].in, NULL);
		assert_false(s.accepted);
		assert_string_equal(s.why, refused[i].why);
		if (strstr(s.said, refused[i].said) == NULL)
			fail_msg("%zu: %s", i, s.said);
	}
}

/* More than is kept: the file fails, and memory does not fill. */
static void
test_bounded(void **state)
{
	struct input in = {A("a:b"),
	    .py = "import sys\nsys.stderr.write('x' * 300000)\nsys.stderr.flush()\n"};
	struct seen s = {0};

	(void)state;
	run(&s, &in, NULL);
	assert_int_equal(strspn(s.said, "x"), sizeof(s.said) - 1);
	if (s.accepted)
		conf_finish(&s.conf);
}

/* Ended before its answer: nobody is told, and the process is gone. */
static void
test_finish(void **state)
{
	struct event_base *base = event_base_new();
	char *argv[] = {(char *)(uintptr_t) "shoal", (char *)(uintptr_t) "a:b", NULL};
	struct seen s = {0};
	struct preflight p = {.on_done = on_done, .ctx = &s};
	struct input in = {0};
	struct err e;
	int status;
	pid_t pid;

	(void)state;
	set_environment(&in);
	write_file("gunicorn.conf.py", "import time\ntime.sleep(60)\n");
	preflight_init(&p);
	assert_int_equal(preflight_start(&p, base, 2, argv, NULL, &e), 0);
	pid = p.pid;
	preflight_finish(&p);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_false(s.done);
	event_base_free(base);
}

static const struct {
	enum conf_id id;
	const char *text;
	enum preflight_effect effect;
} changes[] = {
    {CONF_workers, "9", EFFECT_RELOAD},
    {CONF_env, "A=1", EFFECT_RELOAD},
    {CONF_bind, ":1", EFFECT_START},
    {CONF_user, "x", EFFECT_START},
    {CONF_state_dir, "/x", EFFECT_START},
    {CONF_certfile, "/x", EFFECT_START},
};

static void
test_changed(void **state)
{
	struct preflight_change v[CONF_COUNT + 1];
	struct conf a, b;
	struct err e;

	(void)state;
	conf_init(&a);
	conf_init(&b);
	assert_int_equal(preflight_changed(&a, &b, v), 0);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		struct conf_source src = {.origin = "x"};

		conf_finish(&b);
		conf_init(&b);
		assert_int_equal(
		    conf_set_text(&b, changes[i].id, changes[i].text, &src, &e), 0);
		assert_int_equal(preflight_changed(&a, &b, v), 1);
		assert_int_equal(v[0].id, changes[i].id);
		assert_int_equal(v[0].effect, changes[i].effect);
	}
	/* From one certificate to another: nothing is opened again. */
	conf_finish(&a);
	conf_init(&a);
	a.certfile = strdup("/y");
	assert_int_equal(preflight_changed(&a, &b, v), 1);
	assert_int_equal(v[0].effect, EFFECT_RELOAD);
	b.app = strdup("x:y");
	assert_int_equal(preflight_changed(&a, &b, v), 2);
	assert_int_equal(v[0].id, CONF_COUNT);
	conf_finish(&a);
	conf_finish(&b);
}

/* What waits for a start is not in the next generation, so it is told every time. */
static void
test_keep_started(void **state)
{
	const size_t n_waiting = 3; /* bind, user, certfile */
	struct conf_source old = {.origin = "old"}, new = {.origin = "new"};
	struct preflight_change v[CONF_COUNT + 1];
	struct conf a, b, file;
	struct err e;

	(void)state;
	conf_init(&a);
	conf_init(&file);
	assert_int_equal(conf_set_text(&a, CONF_user, "www", &old, &e), 0);
	a.workers = 2;
	assert_int_equal(conf_set_text(&file, CONF_workers, "9", &new, &e), 0);
	assert_int_equal(conf_set_text(&file, CONF_bind, ":1", &new, &e), 0);
	assert_int_equal(conf_set_text(&file, CONF_certfile, "/x", &new, &e), 0);
	file.app = strdup("x:y");
	assert_int_equal(conf_copy(&b, &file, &e), 0);
	assert_int_equal(preflight_keep_started(&b, &a, &e), 0);
	assert_int_equal(b.workers, 9);
	assert_string_equal(b.origin[CONF_workers], "new");
	assert_string_equal(b.app, "x:y");
	assert_string_equal(b.user, "www");
	assert_string_equal(b.origin[CONF_user], "old");
	assert_int_equal(b.bind.n, a.bind.n);
	assert_null(b.origin[CONF_bind]);
	assert_null(b.certfile);
	/* All of them but the one that the reload did bring. */
	assert_int_equal(preflight_changed(&b, &file, v), n_waiting);
	for (size_t i = 0; i < n_waiting; i++)
		assert_int_equal(v[i].effect, EFFECT_START);
	conf_finish(&a);
	conf_finish(&b);
	conf_finish(&file);
}

static void
test_keep_args(void **state)
{
	char one[] = "shoal", two[] = "a:b";
	char *argv[] = {one, two, NULL};
	char **kept = preflight_keep_args(2, argv);

	(void)state;
	memset(one, 'x', sizeof(one) - 1);
	assert_string_equal(kept[0], "shoal");
	assert_string_equal(kept[1], "a:b");
	assert_null(kept[2]);
	free(kept);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted),
	    cmocka_unit_test(test_other_file),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_bounded),
	    cmocka_unit_test(test_finish),
	    cmocka_unit_test(test_changed),
	    cmocka_unit_test(test_keep_started),
	    cmocka_unit_test(test_keep_args),
	};

	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
