/* Asks a worker for the Python stacks of its threads, also one that hangs: a signal, and a
 * look at its trace file until the dump is complete. SPDX-License-Identifier: MIT */
#pragma once

#include "common/seg.h"

#include <jansson.h>
#include <sys/types.h>

#define TRACE_LIMIT_MS 2000

struct event_base;
struct trace;

/* Zeroed but for `base` is a fine start. */
struct tracer {
	struct event_base *base; /* borrowed */
	struct trace *running;   /* owned list */
};

/* Borrowed until tracer_gone. */
struct trace_target {
	pid_t pid;
	int fd; /* of its trace memfd */
	const struct seg *seg;
};

struct trace_result {
	pid_t pid;
	int64_t took_us;
	const char *problem; /* NULL: none; else why there are no threads */
	bool gone;           /* the problem is that the worker ended */
	struct str text;     /* faulthandler's own; hostile */
	json_t *threads;     /* borrowed; see trace_parse.h. NULL with a problem */
};

typedef void trace_fn(void *ctx, const struct trace_result *r);

/* on_done comes later from the loop, once, unless tracer_forget or tracer_finish comes
 * first. Who asks while an answer is on its way gets that one. -1: the worker cannot be
 * asked. */
NODISCARD int tracer_ask(struct tracer *t, const struct trace_target *target,
    trace_fn *on_done, void *ctx, struct err *e);
/* on_done(ctx) must not be called any more. */
void tracer_forget(struct tracer *t, void *ctx);
/* The process was reaped: answers those who wait for it. */
void tracer_gone(struct tracer *t, pid_t pid);
/* Nobody is answered any more. */
void tracer_finish(struct tracer *t);

/* The last bytes of a trace memfd, at most `max`, on the heap; length 0: none. */
struct str trace_read(int fd, size_t max);
