/* The master's counts of itself. SPDX-License-Identifier: MIT */
#include "master/selfcount.h"

const uint64_t selfcount_reload_bounds_ns[HIST_BOUNDS] = {
    100000000,
    250000000,
    500000000,
    1000000000,
    2500000000,
    5000000000,
    10000000000,
    30000000000,
    60000000000,
    120000000000,
    300000000000,
    600000000000,
    1800000000000,
    3600000000000,
};

/* A turn of the loop takes microseconds, and is to stay far below a second. */
const uint64_t selfcount_loop_bounds_ns[HIST_BOUNDS] = {
    50000,
    100000,
    250000,
    500000,
    1000000,
    2500000,
    5000000,
    10000000,
    25000000,
    50000000,
    100000000,
    250000000,
    1000000000,
    10000000000,
};

static void
add(struct selfcount_times *t, const uint64_t bounds_ns[HIST_BOUNDS], int64_t us)
{
	uint64_t ns = (uint64_t)MIN(MAX(us, 0), INT64_MAX / 1000) * 1000;
	unsigned i = 0;

	while (i < HIST_BOUNDS && ns > bounds_ns[i])
		i++;
	t->classes[i]++;
	t->sum_us += ns / 1000;
}

static enum selfcount_mode
mode_of(const struct job *j, bool bluegreen)
{
	if (j->kind == JOB_ROLLBACK)
		return SELFCOUNT_ROLLBACK;
	if (j->kind == JOB_UPGRADE)
		return SELFCOUNT_UPGRADE;
	return bluegreen ? SELFCOUNT_BLUEGREEN : SELFCOUNT_ROLLING;
}

void
selfcount_reload(struct selfcount *s, const struct job *j, bool bluegreen)
{
	enum selfcount_mode mode = mode_of(j, bluegreen);

	s->reloads[mode][j->state - JOB_DONE]++;
	/* Both are wall-clock times; a clock that was set makes no negative duration. */
	add(&s->reload_times[mode], selfcount_reload_bounds_ns,
	    (int64_t)((j->ended - j->started) * 1e6));
	if (j->state == JOB_CANCELLED)
		return;
	s->reloaded = true;
	s->reload_ok = j->state == JOB_DONE;
	s->reload_at = j->ended;
}

void
selfcount_call(struct selfcount *s, unsigned method, bool ok, int64_t took_us)
{
	s->calls[method][ok]++;
	add(&s->call_times, selfcount_loop_bounds_ns, took_us);
}

void
selfcount_loop_lag(struct selfcount *s, int64_t late_us)
{
	add(&s->loop_lag, selfcount_loop_bounds_ns, late_us);
}
