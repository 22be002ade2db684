/* Sleeping until another thread has something, without losing a wake-up.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <stdatomic.h>

enum sleeper_state {
	SLEEPER_AWAKE,
	SLEEPER_IDLE,    /* asleep without work */
	SLEEPER_WAITING, /* asleep in the middle of a request */
	SLEEPER_CALLED,  /* a wake-up came while awake, or is on its way */
};

/* Its memory lives as long as the process, so that a late wake-up is harmless. */
struct sleeper {
	int efd; /* owned eventfd; -1: a futex does, signals do not interrupt it */
	_Atomic int state; /* enum sleeper_state */
	uint64_t rose_ns;  /* the last sleeper_sleep() wanted the GIL back since then
			      (CLOCK_MONOTONIC); 0: nobody else could have had it */
};

NODISCARD int sleeper_open(struct sleeper *s);
/* Any thread. */
void sleeper_wake(struct sleeper *s);
/* What an idle thread is asked, without the GIL. */
struct sleeper_idle {
	/* Before it sleeps: is there something after all? Who makes this true must do so
	 * before it asks sleeper_is_idle(). */
	bool (*ready)(const void *arg);
	/* Woken: should it take the GIL? False: sleep on. */
	bool (*rise)(const void *arg);
	const void *arg;
};

/*
 * With the GIL, which is given up meanwhile. Returns at once when a wake-up came since the
 * last sleep; may return early. idle NULL: a request waits. -1: a Python signal handler
 * raised, the exception is set.
 */
NODISCARD int sleeper_sleep(struct sleeper *s, const struct sleeper_idle *idle);

/*
 * For a loop that is not ours and watches efd. It calls us back: sleeper_rise(); at the end
 * sleeper_lie_down(), false when there is more to do before the next wake-up.
 * sleeper_call_again() instead: call back once more after whatever else the loop has to do.
 */
void sleeper_rise(struct sleeper *s);
NODISCARD bool sleeper_lie_down(
    struct sleeper *s, bool (*ready)(const void *arg), const void *arg);
void sleeper_call_again(struct sleeper *s);

static inline bool
sleeper_is_idle(const struct sleeper *s)
{
	return atomic_load(&s->state) == SLEEPER_IDLE;
}
