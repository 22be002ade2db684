/* One worker's place: who serves there, who is coming, how it went so far.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/backoff.h"
#include "master/proc.h"
#include "master/slot_counts.h"
#include "master/tally.h"

struct slot {
	struct fleet *fleet; /* borrowed */
	unsigned index, epoch;
	unsigned restarts;     /* workers that ended without being asked */
	struct proc *serving;  /* borrowed of fleet->procs; NULL: nobody */
	struct proc *coming;   /* the same: takes over when ready */
	struct event *timer;   /* owned; starts the next worker */
	bool waiting;          /* the timer runs */
	enum spawn_reason why; /* for the worker that is started then */
	struct backoff backoff;
	struct slot_counts base; /* of the workers that have ended here */
	/* Of the last worker that ended here: */
	char last_cause[64]; /* "signal=SIGSEGV core=yes"; "": none ended yet */
	enum proc_reason last_reason;
	double last_at; /* Unix time */
};

NODISCARD struct slot *slot_create(struct fleet *f, unsigned index);
void slot_destroy(struct slot *s);
/* Starts a worker of the fleet's generation after so long (0: on the next turn of the
 * loop); waits for the generation's mold. */
void slot_start_in(struct slot *s, int64_t ms, enum spawn_reason why);
/* No process is coming. */
void slot_cancel(struct slot *s);
