/* The mold: a process that has imported the application and forks the workers of its
 * generation. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"
#include "master/usage.h"

#include <sys/types.h>

struct event;
struct fleet;
struct generation;
struct proc;

enum mold_state { MOLD_LOADING, MOLD_PROVEN, MOLD_UNSAFE, MOLD_FAILED, MOLD_GONE };

struct mold {
	struct fleet *fleet;    /* borrowed */
	struct generation *gen; /* borrowed: it owns the mold; NULL: it is gone */
	struct mold *next;      /* in fleet->molds */
	enum mold_state state;
	pid_t pid;                 /* 0: ended */
	int channel;               /* owned; -1: none */
	struct event *on_readable; /* owned */
	struct event *timer;       /* owned; load time, then the time to end */
	int64_t born_ms;
	struct usage usage; /* the meter's */
	char unsafe[512];   /* why forks would be unsafe; "": they are not */
	bool ending;        /* it was told to */
	bool refused;       /* MOLD_FAILED: the options, not the application */
};

/* Whether this generation's workers may come from a mold; says so in the log when --preload
 * auto cannot. */
bool mold_is_wanted(const struct generation *g);
/* Starts the process; the generation owns the result. NULL: err. */
NODISCARD struct mold *mold_start(struct fleet *f, struct generation *g, struct err *e);
/* The same with a process of the master before; its channel is taken. */
NODISCARD struct mold *mold_adopt(
    struct fleet *f, struct generation *g, const struct mold *from, struct err *e);
/* Asks for a fork; the descriptors travel and stay the caller's. */
NODISCARD int mold_fork(
    struct mold *m, const struct proc *p, int worker_end, struct err *e);
/* Ends the process, its generation needs it no more; the struct is freed when the process
 * is reaped. NULL is fine. */
void mold_destroy(struct mold *m);
/* The same, but the generation keeps the struct: the instance stops. */
void mold_end(struct mold *m);
void mold_reap(struct mold *m, int status);
