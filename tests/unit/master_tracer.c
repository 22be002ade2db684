/* Stacks asked from real processes: they answer, hang, die, or don't listen yet; and what a
 * dead one leaves behind. SPDX-License-Identifier: MIT */
#include "common/heritage.h"
#include "master/crashes.h"
#include "master/inflight.h"
#include "master/trace.h"

#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#define DUMP                                                                               \
	"Current thread 0x00007f00000000aa (most recent call first):\n"                    \
	"  File \"/srv/app.py\", line 7 in spin\n"

struct worker {
	struct tracer tracer;
	struct seg *seg;
	int seg_fd, trace_fd;
	pid_t pid;
	unsigned answers, threads;
	char problem[80];
	bool gone;
	struct err e;
};

static struct worker *the_child;

static void
on_trace_signal(int sig)
{
	(void)sig;
	(void)!write(the_child->trace_fd, DUMP, sizeof(DUMP) - 1);
	atomic_fetch_add(&the_child->seg->traces, 1);
}

static void
on_silent_signal(int sig)
{
	(void)sig;
}

/* Returns when the child has installed its handler. */
static void
start(struct worker *w, void (*handler)(int))
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0) {
		the_child = w;
		signal(HERITAGE_TRACE_SIGNAL, handler);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

static int
setup(void **state)
{
	struct worker *w = calloc(1, sizeof(*w));

	w->seg = seg_create(3, 1, 2, &w->seg_fd, &w->e);
	w->trace_fd = memfd_create("trace", MFD_CLOEXEC);
	assert_int_equal(fcntl(w->trace_fd, F_SETFL, O_APPEND), 0);
	w->tracer.base = event_base_new();
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct worker *w = *state;

	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	tracer_finish(&w->tracer);
	event_base_free(w->tracer.base);
	seg_close(w->seg);
	close(w->seg_fd);
	close(w->trace_fd);
	free(w);
	return 0;
}

static void
on_done(void *ctx, const struct trace_result *r)
{
	struct worker *w = ctx;

	w->answers++;
	w->threads = (unsigned)json_array_size(r->threads);
	w->gone = r->gone;
	snprintf(w->problem, sizeof(w->problem), "%s", r->problem ? r->problem : "");
	assert_int_equal(r->pid, w->pid);
	assert_true(r->took_us >= 0);
}

static int
ask(struct worker *w, void *ctx)
{
	return tracer_ask(&w->tracer, &(struct trace_target){w->pid, w->trace_fd, w->seg},
	    on_done, ctx, &w->e);
}

static void
test_answer(void **state)
{
	struct worker *w = *state;

	start(w, on_trace_signal);
	(void)!write(w->trace_fd, "old", 3);
	/* Two ask at once: one signal, two answers. */
	assert_int_equal(ask(w, w), 0);
	assert_int_equal(ask(w, w), 0);
	assert_int_equal(w->answers, 0);
	event_base_dispatch(w->tracer.base);
	assert_int_equal(w->answers, 2);
	assert_int_equal(w->threads, 1);
	assert_int_equal(w->seg->traces, 1);
	assert_null(w->tracer.running);
	/* What was read is no part of a later report. */
	assert_int_equal(trace_read(w->trace_fd, 100).n, 0);
	assert_int_equal(ask(w, w), 0);
	event_base_dispatch(w->tracer.base);
	assert_int_equal(w->answers, 3);
}

static void
test_without_handler(void **state)
{
	struct worker *w = *state;

	start(w, SIG_DFL);
	assert_int_equal(ask(w, w), -1);
	assert_non_null(strstr(w->e.text, "not ready"));
	assert_int_equal(kill(w->pid, 0), 0);
	assert_int_equal(waitpid(w->pid, NULL, WNOHANG), 0);
}

static void
test_no_answer(void **state)
{
	struct worker *w = *state;

	start(w, on_silent_signal);
	assert_int_equal(ask(w, w), 0);
	event_base_dispatch(w->tracer.base);
	assert_int_equal(w->answers, 1);
	assert_non_null(strstr(w->problem, "within 2 seconds"));
	assert_false(w->gone);
}

static void
test_forget_and_gone(void **state)
{
	struct worker *w = *state;
	struct worker other = {.pid = 0};

	start(w, on_silent_signal);
	other.pid = w->pid;
	assert_int_equal(ask(w, w), 0);
	assert_int_equal(ask(w, &other), 0);
	tracer_forget(&w->tracer, w);
	tracer_gone(&w->tracer, w->pid + 1);
	assert_int_equal(other.answers, 0);
	tracer_gone(&w->tracer, w->pid);
	assert_int_equal(w->answers, 0);
	assert_int_equal(other.answers, 1);
	assert_true(other.gone);
	assert_null(w->tracer.running);
	assert_int_equal(ask(w, w), 0);
}

static void
open_entry(struct seg *s, size_t entry, const char *method, const char *target)
{
	struct seg_inflight *f = &s->inflight[entry];

	f->serial = 5512;
	f->peer.sa.sa_family = AF_UNIX;
	strncpy(f->method, method, sizeof(f->method));
	f->target_len = (uint32_t)strlen(target);
	memcpy(f->target, target, MIN(strlen(target), sizeof(f->target)));
	f->state = INFLIGHT_APP;
}

static void
test_crash(void **state)
{
	struct worker *w = *state;
	static struct crashes cs;
	struct crash c = {
	    .slot = 3,
	    .pid = 99,
	    .cause = "signal=SIGSEGV",
	    .lived_ms = 1500,
	    .epoch = 2,
	    .generation = 7,
	    .reason = "crashed",
	    .seg = w->seg,
	    .trace_fd = w->trace_fd,
	};
	const json_t *record;
	json_t *data, *list;
	char *text;

	open_entry(w->seg, 5, "GET", "/a\x1b[1m?token=secret");
	w->seg->inflight[5].target_len = UINT32_MAX;
	open_entry(w->seg, 6, "0123456789abcdef", "/b");
	w->seg->inflight[7].state = 77;
	(void)!write(w->trace_fd, DUMP, sizeof(DUMP) - 1);
	crashes_init(&cs);
	record = crashes_add(&cs, &c);
	data = crashes_event_data(record);
	text = json_dumps(data, JSON_COMPACT);
	assert_non_null(strstr(text, "\"cause\":\"signal=SIGSEGV\",\"reason\":\"crashed\","
				     "\"lived_s\":1.5,\"oom\":false,\"requests\":["));
	assert_non_null(strstr(text, "\"id\":\"w3e2-5512\",\"worker\":3,"));
	assert_non_null(strstr(text, "\"path\":\"/a\\\\x1b[1m\",\"client\":\"unix\""));
	assert_non_null(strstr(text, "\"method\":\"0123456789abcdef\""));
	assert_non_null(strstr(text, "\"requests_total\":2"));
	assert_null(strstr(text, "secret"));
	assert_null(strstr(text, "threads"));
	free(text);
	json_decref(data);
	assert_int_equal(json_array_size(json_object_get(record, "threads")), 1);
	/* The ring goes round; the newest come first. */
	for (unsigned i = 0; i < CRASHES_KEPT + 10; i++) {
		c.slot = i % 2;
		c.pid = 1000 + (pid_t)i;
		c.cause = "signal=SIGKILL";
		assert_non_null(crashes_add(&cs, &c));
	}
	assert_int_equal(cs.total, CRASHES_KEPT + 11);
	list = crashes_of_slot(&cs, 3, 10);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	list = crashes_of_slot(&cs, 1, 10);
	assert_int_equal(json_array_size(list), 10);
	assert_int_equal(
	    json_integer_value(json_object_get(json_array_get(list, 0), "pid")), 1059);
	json_decref(list);
	crashes_finish(&cs);
}

static void
write_dump(
    struct worker *w, const char *head, unsigned threads, unsigned current, char fill)
{
	char name[401] = "";

	memset(name, fill, sizeof(name) - 1);
	dprintf(w->trace_fd, "%s", head);
	for (unsigned i = 0; i < threads; i++) {
		dprintf(w->trace_fd, "%s 0x%x (most recent call first):\n",
		    i == current ? "Current thread" : "Thread", i + 1);
		for (unsigned k = 0; k < 100 && i == current; k++)
			dprintf(w->trace_fd, "  File \"%s\", line %u in f\n", name, k);
		dprintf(w->trace_fd, "  File \"short\", line 7 in g\n");
	}
}

/* What is kept of the last words: those of the last fatal signal, first the thread it hit,
 * and no more than some. */
static void
test_crash_stacks(void **state)
{
	struct worker *w = *state;
	static struct crashes cs;
	struct crash c = {
	    .cause = "signal=SIGSEGV", .reason = "crashed", .trace_fd = w->trace_fd};
	const json_t *record, *first;
	json_t *data;
	char *text;

	crashes_init(&cs);
	write_dump(w, "Fatal Python error: Aborted\n\n", 3, 2, 'a');
	write_dump(w, "Fatal Python error: Segmentation fault\n\n", 5, 3, 'b');
	record = crashes_add(&cs, &c);
	first = json_array_get(json_object_get(record, "threads"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "id")), "0x4");
	text = json_dumps(json_object_get(record, "threads"), JSON_COMPACT);
	assert_null(strstr(text, "aaaa"));
	assert_in_range(strlen(text), 10000, 24000);
	free(text);
	data = crashes_event_data(record);
	assert_int_equal(json_array_size(json_object_get(data, "stack")), 20);
	json_decref(data);
	/* Nobody can write when KILL comes: that was something else. */
	c.cause = "signal=SIGKILL";
	record = crashes_add(&cs, &c);
	assert_int_equal(json_array_size(json_object_get(record, "threads")), 0);
	/* No Python in the thread that was hit. */
	c.cause = "signal=SIGSEGV";
	write_dump(w, "Fatal Python error: Segmentation fault\n\n", 2, 9, 'b');
	record = crashes_add(&cs, &c);
	assert_int_equal(json_array_size(json_object_get(record, "threads")), 2);
	data = crashes_event_data(record);
	assert_null(json_object_get(data, "stack"));
	json_decref(data);
	crashes_finish(&cs);
}

static void
test_inflight_bounds(void **state)
{
	struct worker *w = *state;
	struct inflight f;
	uint64_t now = inflight_now_ns();

	assert_false(inflight_read(w->seg, 0, now, &f));
	open_entry(w->seg, 0, "GET", "/x");
	w->seg->inflight[0].started_ns = now + 1000;
	assert_true(inflight_read(w->seg, 0, now, &f));
	assert_int_equal(f.age_us, 0);
	w->seg->inflight[0].started_ns = now - 2000000;
	assert_true(inflight_read(w->seg, 0, now, &f));
	assert_int_equal(f.age_us, 2000);
	memset(w->seg->inflight[0].target, 'a', sizeof(w->seg->inflight[0].target));
	w->seg->inflight[0].target_len = 4000000;
	assert_true(inflight_read(w->seg, 0, now, &f));
	assert_int_equal(f.path.n, sizeof(w->seg->inflight[0].target));
	for (uint32_t s = INFLIGHT_SENDING + 1; s != 0; s *= 2) {
		w->seg->inflight[0].state = s;
		assert_false(inflight_read(w->seg, 0, now, &f));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_answer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_without_handler, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_answer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_forget_and_gone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_crash, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_crash_stacks, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_inflight_bounds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
