/* Sleeping in read(eventfd), so that signals interrupt it and Python's handlers run.
 * SPDX-License-Identifier: MIT */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "worker/py/sleeper.h"

#include "worker/net/req.h"
#include "worker/py/executor.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

static_assert(sizeof(_Atomic int) == 4, "the state is a futex word");

int
sleeper_open(struct sleeper *s)
{
	s->efd = eventfd(0, EFD_CLOEXEC);
	return s->efd < 0 ? -1 : 0;
}

void
sleeper_wake(struct sleeper *s)
{
	int was = atomic_exchange(&s->state, SLEEPER_CALLED);
	uint64_t one = 1;
	ssize_t n;

	if (was != SLEEPER_IDLE && was != SLEEPER_WAITING)
		return;
	if (s->efd < 0) {
		syscall(SYS_futex, &s->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
		return;
	}
	do {
		n = write(s->efd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

/* Returns whether a signal cut the sleep short. */
static bool
sleep_once(struct sleeper *s, const struct sleeper_idle *idle)
{
	int state = SLEEPER_AWAKE, asleep = idle != NULL ? SLEEPER_IDLE : SLEEPER_WAITING;
	bool interrupted = false;
	uint64_t count;

	/* Not AWAKE: called since the last sleep. */
	if (atomic_compare_exchange_strong(&s->state, &state, asleep) &&
	    (idle == NULL || !idle->ready(idle->arg))) {
		if (s->efd < 0)
			syscall(SYS_futex, &s->state, FUTEX_WAIT_PRIVATE, asleep, NULL,
			    NULL, 0);
		else
			interrupted =
			    read(s->efd, &count, sizeof(count)) < 0 && errno == EINTR;
	}
	atomic_store(&s->state, SLEEPER_AWAKE);
	return interrupted;
}

int
sleeper_sleep(struct sleeper *s, const struct sleeper_idle *idle)
{
	const bool contested = times_is_contested();
	bool interrupted;

	req_app_idle();
	Py_BEGIN_ALLOW_THREADS do
	{
		interrupted = sleep_once(s, idle);
	}
	while (!interrupted && idle != NULL && !idle->rise(idle->arg))
		;
	s->rose_ns = contested ? executor_clock_ns() : 0;
	Py_END_ALLOW_THREADS return interrupted ? PyErr_CheckSignals() : 0;
}

void
sleeper_rise(struct sleeper *s)
{
	uint64_t count;

	atomic_store(&s->state, SLEEPER_AWAKE);
	if (read(s->efd, &count, sizeof(count)) < 0)
		return; /* EAGAIN: called without need */
}

bool
sleeper_lie_down(struct sleeper *s, bool (*ready)(const void *arg), const void *arg)
{
	int state = SLEEPER_AWAKE;

	if (atomic_compare_exchange_strong(&s->state, &state, SLEEPER_IDLE) && !ready(arg))
		return true;
	atomic_store(&s->state, SLEEPER_AWAKE);
	return false;
}

void
sleeper_call_again(struct sleeper *s)
{
	atomic_store(&s->state, SLEEPER_IDLE);
	sleeper_wake(s);
}
