/* What application threads do with their time. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <stdatomic.h>
#include <time.h>

struct app_thread;
struct app_times;

/* Of one thread: written by it, read by the I/O thread. */
struct times {
	_Atomic uint64_t started_ns; /* CLOCK_MONOTONIC; 0: not yet */
	/* Up: the time it was idle, times two. Idle: the moment it lay down less that time,
	 * times two and one more. One word, so that a reader never sees half of a change.
	 */
	_Atomic uint64_t idle;
	_Atomic uint64_t gil_wait_ns;
	/* Green threads: the hub sleeps, we cannot tell when. What it uses the processor
	 * for is its busy time. */
	clockid_t cpu_clock;
	uint64_t cpu_before_ns; /* used while the application was loaded */
};

/* All by the thread itself; those that say when go by t->now_ns. */
void times_start(struct app_thread *t);
void times_lie_down(struct app_thread *t);
/* With the GIL again: t->sleeper knows since when it was wanted. */
void times_rise(struct app_thread *t);
/* With the GIL again, in the middle of a request; wanted since then, 0: nobody else could
 * have had it. */
void times_got_gil(struct app_thread *t, uint64_t asked_ns);

/* With the GIL: whether another Python thread may have it when it is wanted back. */
bool times_is_contested(void);

/* app_ops.times */
void times_read(uint64_t now_ns, struct app_times *out);
