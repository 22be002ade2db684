/* One worker process: what it inherited and how its two sides (I/O thread, Python) start
 * and end together. SPDX-License-Identifier: MIT */
#pragma once

#include "common/acct.h"
#include "common/board.h"
#include "common/heritage.h"
#include "common/quota.h"
#include "common/seg.h"

struct app_ops;
struct msg_fork;

struct worker {
	struct heritage heritage;
	struct seg *seg;      /* shared with the master; NULL in a mold */
	struct acct accounts; /* the same: all zeros in a mold */
	struct board *board;  /* shared with the other workers */
	struct quota quota;   /* the same; all zeros: there are no quotas */
};

/* Takes over what the master left on the well-known descriptors; once per process. The
 * error log goes through the writer thread from here on. */
NODISCARD int worker_open(struct worker *w, struct err *e);

/* From here on TERM ends this process at once, until it becomes a worker. */
void worker_hold_term(void);
/* In a process just forked from a mold: the worker that `order` describes. w->seg and
 * w->accounts are its own already; the descriptors stay the caller's. */
void worker_become(struct worker *w, const struct msg_fork *order, int channel, int trace);

/* The application could not be loaded: tells the master why (traceback or sentence) and
 * ends the process with status 3. */
_Noreturn void worker_fail(struct worker *w, struct str text);

/* Starts the I/O thread, begins to accept and tells the master READY. The calling thread
 * goes on as application thread 0. What the options ask for and cannot be had (a key file,
 * a log format) is the operator's to mend: the process then ends with status 2. */
NODISCARD int worker_start(struct worker *w, const struct app_ops *ops, struct err *e);

/* After every application thread has returned: tells the I/O thread to write out its logs,
 * joins it and reports DRAINED. The caller then runs Python's own end and calls _exit. */
void worker_finish(struct worker *w);
