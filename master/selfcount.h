/* What the master counts about itself: reloads, calls, how late its loop comes. Nothing of
 * it ever goes backwards, also not over an upgrade. SPDX-License-Identifier: MIT */
#pragma once

#include "common/ctl_table.h"
#include "common/hist.h"
#include "master/events.h"
#include "master/job.h"

/* How a generation came to serve, or should have. */
enum selfcount_mode {
	SELFCOUNT_ROLLING,
	SELFCOUNT_BLUEGREEN,
	SELFCOUNT_ROLLBACK,
	SELFCOUNT_UPGRADE,
	SELFCOUNT_MODES
};

#define SELFCOUNT_RESULTS (JOB_STATES - JOB_DONE) /* the final states */

/* By boundaries of its own: see selfcount_json.c. */
struct selfcount_times {
	uint64_t classes[HIST_CLASSES], sum_us;
};

struct selfcount {
	uint64_t reloads[SELFCOUNT_MODES][SELFCOUNT_RESULTS];
	struct selfcount_times reload_times[SELFCOUNT_MODES];
	bool reloaded;    /* there was a last one, not cancelled */
	bool reload_ok;   /* it brought what was asked for */
	double reload_at; /* Unix time of its end */
	/* [CTL_METHODS]: what is no method. [1]: those that went well. */
	uint64_t calls[CTL_METHODS + 1][2];
	struct selfcount_times call_times;
	uint64_t events_lost; /* by subscribers too slow for them */
	struct selfcount_times loop_lag;
};

extern const uint64_t selfcount_reload_bounds_ns[HIST_BOUNDS];
extern const uint64_t selfcount_loop_bounds_ns[HIST_BOUNDS];

/* j: the reload, rollback or upgrade that has just ended. */
void selfcount_reload(struct selfcount *s, const struct job *j, bool bluegreen);
/* method: an enum ctl_method_id, or CTL_METHODS. */
void selfcount_call(struct selfcount *s, unsigned method, bool ok, int64_t took_us);
void selfcount_loop_lag(struct selfcount *s, int64_t late_us);

/* An object of all of it and of ev->counts: for metrics.server, and for the next binary,
 * which takes it back by selfcount_restore(). New reference. */
json_t *selfcount_to_json(const struct selfcount *s, const struct events *ev);
void selfcount_restore(struct selfcount *s, struct events *ev, const json_t *from);
