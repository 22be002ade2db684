/* The mold: a process that has imported the application and forks the workers of its
 * generation. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <sys/types.h>

struct event;
struct fleet;
struct generation;
struct proc;

enum mold_state { MOLD_LOADING, MOLD_PROVEN, MOLD_UNSAFE, MOLD_FAILED, MOLD_GONE };

struct mold {
	struct fleet *fleet;    /* borrowed */
	struct generation *gen; /* borrowed: the generation owns the mold */
	struct mold *next;      /* in fleet->molds */
	enum mold_state state;
	pid_t pid;                 /* 0: ended */
	int channel;               /* owned; -1: none */
	struct event *on_readable; /* owned */
	struct event *timer;       /* owned; load time, then the time to end */
	int64_t born_ms;
	char unsafe[512]; /* MOLD_UNSAFE: why */
};

/* Starts the process; the generation owns the result. NULL: err. */
NODISCARD struct mold *mold_start(struct fleet *f, struct generation *g, struct err *e);
/* Asks for a fork; the descriptors travel and stay the caller's. */
NODISCARD int mold_fork(
    struct mold *m, const struct proc *p, int worker_end, bool parked, struct err *e);
/* Ends the process; the struct is freed when it is reaped, or at once without one. */
void mold_destroy(struct mold *m);
void mold_reap(struct mold *m, int status);
