/* Looks at every worker five times a second: busy or idle, alive or hung, due to be
 * recycled; keeps what the instance knows about itself. SPDX-License-Identifier: MIT */
#pragma once

#include "master/checker.h"
#include "master/crashes.h"
#include "master/heat.h"
#include "master/history.h"
#include "master/listeners.h"
#include "master/meter.h"
#include "master/metric_sums.h"
#include "master/notify.h"
#include "master/recycler.h"
#include "master/routes.h"
#include "master/top.h"
#include "master/totals.h"
#include "master/trace.h"

/* Short lives in a row that make a crash loop. */
#define MINDER_CRASH_LOOP 3

struct event;
struct master;
struct proc;

struct minder {
	struct master *master; /* borrowed */
	struct event *tick;    /* owned */
	struct totals totals;
	_Atomic uint64_t logged[LOG_LEVELS]; /* the master's own lines of the error log */
	struct metric_sums *metrics;         /* owned; the application's */
	struct routes routes;
	struct top top;
	struct history *history; /* owned */
	struct heat *heat;       /* owned */
	struct tracer tracer;
	struct crashes crashes;
	struct recycler recycler;
	struct checker checker;
	struct meter meter;
	const struct seg **live; /* owned; room for `capacity` */
	size_t capacity;
	int64_t ticked_ms, awake_ms; /* the last tick; since when on time */
	struct notify_figures told;  /* the last that systemd was told */
	int64_t told_ms;
	uint64_t in_hand;                  /* requests, a second ago at most */
	unsigned queue_max[LISTENERS_MAX]; /* longest accept queue seen */
	bool queue_full[LISTENERS_MAX];    /* it was full a second ago */
	uint64_t overflow_told;            /* of accounts.overflowed, in an event */
	int64_t overflow_ms;
};

/* Needs master->base and master->events. */
NODISCARD int minder_open(struct minder **m, struct master *master, struct err *e);
void minder_close(struct minder *m);
/* A worker was reaped, its segment is still there: counts, crash record, events. cause as
 * report_cause(). */
void minder_on_gone(struct minder *m, struct proc *p, const char *cause);
/* Tells systemd how many workers are ready and the like: at once what changed about them,
 * the rest every few seconds. */
void minder_tell_status(struct minder *m);
/* The sums of accounts as of now. */
void minder_look_at_accounts(struct minder *m);
/* The sums of routes as of now. */
void minder_look_at_routes(struct minder *m);
/* The numbers of now, the master's own lines of the error log among them. */
void minder_take(struct minder *m, struct totals_snapshot *out);
/* Before the totals are handed on to another binary: the master's own lines go in. */
void minder_fold_own(struct minder *m);
/* The application's metrics of now: new reference. */
json_t *minder_take_metrics(struct minder *m);
/* {"slot","pid","generation","epoch"}: how every event names a worker. New reference. */
json_t *minder_name(const struct proc *p);
