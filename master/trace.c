/* One signal, a short timer that looks for the answer, and all who asked meanwhile.
 * SPDX-License-Identifier: MIT */
#include "master/trace.h"

#include "common/heritage.h"
#include "master/procfs.h"
#include "master/trace_parse.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#define WAITERS_MAX 128 /* control calls in flight are fewer */

struct waiter {
	struct waiter *next;
	trace_fn *on_done;
	void *ctx;
};

struct trace {
	struct trace *next;
	struct tracer *tracer; /* borrowed */
	struct trace_target target;
	struct event *timer;    /* owned */
	struct waiter *waiters; /* owned list */
	unsigned n_waiters;
	uint32_t traces_before;
	int64_t began_us, wait_us; /* until the next look */
};

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

struct str
trace_read(int fd, size_t max)
{
	struct stat st;
	char *text;
	size_t size;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
		return (struct str){NULL, 0};
	size = MIN((size_t)st.st_size, max);
	text = malloc(size);
	/* Not mapped: the worker may shorten it at any moment. */
	n = text ? pread(fd, text, size, st.st_size - (off_t)size) : -1;
	if (n > 0)
		return (struct str){text, (size_t)n};
	free(text);
	return (struct str){NULL, 0};
}

static void
destroy(struct trace *tr)
{
	for (struct waiter *w = tr->waiters, *next; w != NULL; w = next) {
		next = w->next;
		free(w);
	}
	if (tr->timer != NULL)
		event_free(tr->timer);
	free(tr);
}

static void
take_out(struct trace *tr)
{
	struct trace **at = &tr->tracer->running;

	while (*at != tr)
		at = &(*at)->next;
	*at = tr->next;
}

/* Callbacks may ask again: by then it has left the list, and its waiters one by one. */
static void
finish(struct trace *tr, struct trace_result *r)
{
	r->pid = tr->target.pid;
	r->took_us = now_us() - tr->began_us;
	take_out(tr);
	while (tr->waiters != NULL) {
		struct waiter *w = tr->waiters;

		tr->waiters = w->next;
		w->on_done(w->ctx, r);
		free(w);
	}
	destroy(tr);
}

static void
answer(struct trace *tr, bool complete)
{
	struct trace_result r = {.problem = NULL};

	r.text = trace_read(tr->target.fd, TRACE_TEXT_MAX);
	r.threads = trace_parse(r.text);
	/* A crash report looks for what the worker wrote at its end, not for this. */
	(void)!ftruncate(tr->target.fd, 0);
	if (json_array_size(r.threads) == 0) {
		r.problem = complete ? "the worker wrote no stack"
				     : "the worker did not answer within 2 seconds";
		json_decref(TAKE_PTR(r.threads));
	}
	finish(tr, &r);
	json_decref(r.threads);
	free((char *)r.text.p);
}

static void
look_later(struct trace *tr)
{
	struct timeval tv = {
	    .tv_sec = tr->wait_us / 1000000, .tv_usec = tr->wait_us % 1000000};

	evtimer_add(tr->timer, &tv);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct trace *tr = arg;
	int64_t left_us = tr->began_us + TRACE_LIMIT_MS * 1000 - now_us();

	(void)fd;
	(void)what;
	if (atomic_load_explicit(&tr->target.seg->traces, memory_order_acquire) !=
	    tr->traces_before) {
		answer(tr, true);
	} else if (left_us <= 0) {
		answer(tr, false);
	} else {
		tr->wait_us = MIN(tr->wait_us * 2, left_us);
		look_later(tr);
	}
}

static int
add_waiter(struct trace *tr, trace_fn *on_done, void *ctx, struct err *e)
{
	struct waiter **end = &tr->waiters, *w;

	if (tr->n_waiters == WAITERS_MAX)
		return err_set(e, "too many ask for this worker's stacks at once");
	w = malloc(sizeof(*w));
	if (w == NULL)
		return err_set(e, "out of memory");
	*w = (struct waiter){NULL, on_done, ctx};
	while (*end != NULL)
		end = &(*end)->next;
	*end = w;
	tr->n_waiters++;
	return 0;
}

static int
begin(struct trace *tr, struct err *e)
{
	/* Before it has a handler, the signal would be its end. */
	if (tr->target.pid <= 0 || !procfs_catches(tr->target.pid, HERITAGE_TRACE_SIGNAL))
		return err_set(e, "the worker is not ready to show its stacks yet");
	if (ftruncate(tr->target.fd, 0) < 0)
		return err_errno(e, "trace file");
	tr->traces_before =
	    atomic_load_explicit(&tr->target.seg->traces, memory_order_acquire);
	if (kill(tr->target.pid, HERITAGE_TRACE_SIGNAL) < 0)
		return err_errno(e, "signal");
	tr->began_us = now_us();
	tr->wait_us = 1000;
	look_later(tr);
	return 0;
}

int
tracer_ask(struct tracer *t, const struct trace_target *target, trace_fn *on_done,
    void *ctx, struct err *e)
{
	struct trace *tr;

	for (tr = t->running; tr != NULL; tr = tr->next)
		if (tr->target.pid == target->pid)
			return add_waiter(tr, on_done, ctx, e);
	tr = calloc(1, sizeof(*tr));
	if (tr == NULL)
		return err_set(e, "out of memory");
	tr->tracer = t;
	tr->target = *target;
	tr->timer = evtimer_new(t->base, on_timer, tr);
	if (tr->timer == NULL)
		err_set(e, "out of memory");
	if (tr->timer == NULL || add_waiter(tr, on_done, ctx, e) < 0 || begin(tr, e) < 0) {
		destroy(tr);
		return -1;
	}
	tr->next = t->running;
	t->running = tr;
	return 0;
}

void
tracer_forget(struct tracer *t, void *ctx)
{
	for (struct trace *tr = t->running; tr != NULL; tr = tr->next) {
		for (struct waiter **at = &tr->waiters; *at != NULL;) {
			struct waiter *w = *at;

			if (w->ctx != ctx) {
				at = &w->next;
				continue;
			}
			*at = w->next;
			tr->n_waiters--;
			free(w);
		}
	}
}

void
tracer_gone(struct tracer *t, pid_t pid)
{
	struct trace_result r = {.problem = "the worker ended meanwhile", .gone = true};

	for (struct trace *tr = t->running; tr != NULL; tr = tr->next) {
		if (tr->target.pid == pid) {
			finish(tr, &r);
			return;
		}
	}
}

void
tracer_finish(struct tracer *t)
{
	while (t->running != NULL) {
		struct trace *tr = t->running;

		t->running = tr->next;
		destroy(tr);
	}
}
