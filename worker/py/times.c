/* What application threads do with their time, out of readings of the clock that are made
 * anyway. SPDX-License-Identifier: MIT */
#include "worker/py/executor.h"

#include <pthread.h>

static uint64_t
load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

/* Only their thread writes them. */
static void
store(_Atomic uint64_t *p, uint64_t v)
{
	atomic_store_explicit(p, v, memory_order_relaxed);
}

static uint64_t
read_cpu(const struct times *times)
{
	struct timespec ts;

	if (clock_gettime(times->cpu_clock, &ts) < 0)
		return times->cpu_before_ns;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void
times_start(struct app_thread *t)
{
	struct times *times = &t->times;

	if (t->green) {
		if (pthread_getcpuclockid(pthread_self(), &times->cpu_clock) != 0)
			times->cpu_clock = CLOCK_PROCESS_CPUTIME_ID;
		times->cpu_before_ns = read_cpu(times);
	}
	t->now_ns = executor_clock_ns();
	atomic_store_explicit(&times->started_ns, t->now_ns, memory_order_release);
}

void
times_lie_down(struct app_thread *t)
{
	struct times *times = &t->times;

	store(&times->idle, (t->now_ns - load(&times->idle) / 2) * 2 + 1);
}

void
times_rise(struct app_thread *t)
{
	struct times *times = &t->times;
	const uint64_t asked = t->sleeper.rose_ns != 0 ? t->sleeper.rose_ns : t->now_ns;

	store(&times->idle, (asked - load(&times->idle) / 2) * 2);
	if (asked != t->now_ns)
		store(&times->gil_wait_ns, load(&times->gil_wait_ns) + t->now_ns - asked);
}

void
times_got_gil(struct app_thread *t, uint64_t asked_ns)
{
	struct times *times = &t->times;

	if (UNLIKELY(asked_ns != 0))
		store(&times->gil_wait_ns,
		    load(&times->gil_wait_ns) + executor_clock_ns() - asked_ns);
}

/* New ones are put before the others. */
bool
times_is_contested(void)
{
	PyThreadState *own = PyThreadState_Get();

	return PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(own)) != own ||
	       PyThreadState_Next(own) != NULL;
}

static uint64_t
idle_until(const struct times *times, uint64_t now_ns)
{
	const uint64_t idle = load(&times->idle);

	return idle % 2 == 0 ? idle / 2 : now_ns - MIN(idle / 2, now_ns);
}

static void
add_thread(const struct app_thread *t, uint64_t now_ns, struct app_times *out)
{
	const struct times *times = &t->times;
	const uint64_t started =
	    atomic_load_explicit(&times->started_ns, memory_order_acquire);
	uint64_t all, idle;

	out->threads++;
	if (started == 0 || now_ns <= started)
		return;
	all = now_ns - started;
	if (t->green)
		idle = all - MIN(read_cpu(times) - times->cpu_before_ns, all);
	else
		idle = MIN(idle_until(times, now_ns), all);
	out->idle_ns += idle;
	out->busy_ns += all - idle;
	out->gil_wait_ns += load(&times->gil_wait_ns);
}

void
times_read(uint64_t now_ns, struct app_times *out)
{
	*out = (struct app_times){.threads = 0};
	for (unsigned i = 0; i < executor_thread_count(); i++)
		add_thread(executor_thread(i), now_ns, out);
}
