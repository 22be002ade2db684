/* One worker process from its fork to its reaping: its descriptors, its segment, what it
 * says and what it is told. SPDX-License-Identifier: MIT */
#pragma once

#include "common/seg.h"
#include "master/accounts.h"
#include "master/generation.h"
#include "master/life.h"
#include "master/minded.h"
#include "master/usage.h"

#include <sys/types.h>

struct event;
struct fleet;

/* Why a worker was asked to end, or did: the word in `last_exit.reason`. */
enum proc_reason {
	PROC_CRASHED, /* nobody asked */
	PROC_FAILED,  /* could not load the application */
	PROC_STOPPED,
	PROC_RELOADED,
	PROC_ROLLED_BACK,
	PROC_SCALED_DOWN,
	PROC_RECYCLED, /* by hand */
	PROC_MAX_REQUESTS,
	PROC_MAX_AGE,
	PROC_MAX_RSS,
	PROC_WAS_STUCK,
	PROC_KILLED, /* by hand */
	PROC_REASONS
};

struct proc {
	struct fleet *fleet;    /* borrowed */
	struct generation *gen; /* a reference */
	struct proc *next;      /* in fleet->procs */
	unsigned slot, epoch, line;
	enum life_state state;
	enum proc_reason reason;
	pid_t pid;                           /* 0: the mold has not said yet */
	int channel;                         /* owned; -1: none */
	int seg_fd, trace_fd, accounts_fd;   /* owned */
	struct seg *seg;                     /* owned mapping */
	struct accounts_table accounts;      /* owned */
	struct event *on_readable;           /* owned; NULL: none */
	struct event *timer;                 /* owned */
	int64_t born_ms, ready_ms, since_ms; /* monotonic; of the present state */
	double born_at;                      /* Unix time */
	uint32_t idle_ms, graceful_ms;       /* of a drain */
	bool was_ready, failed, expected;
	bool reaped;              /* the pid may be another's by now */
	bool parked;              /* it was started so */
	bool park_old;            /* taking over parks who served, instead of draining */
	enum proc_reason why_old; /* for who served */
	int64_t drain_old_ms;     /* the same; -1: --graceful-timeout */
	bool accept_rest;         /* a drain takes what waits in the accept queues first */
	bool announce;            /* parking: answers say Connection: close */
	int kill_signal;          /* to be sent as soon as the pid is known; 0: none */
	struct str failure;       /* borrowed, while on_failed runs */
	bool refused;             /* the same: it is the options, not the application */
	struct minded minded;     /* the minder's */
	struct usage usage;       /* the meter's */
};

/* Starts a process; it is in fleet->procs until it is reaped. From the generation's mold
 * when it has one. NULL: err. */
NODISCARD struct proc *proc_start(struct fleet *f, struct generation *g, unsigned slot,
    unsigned epoch, bool parked, struct err *e);
/* A process of the master before: from has its descriptors, which are taken, and numbers.
 */
NODISCARD struct proc *proc_adopt(
    struct fleet *f, struct generation *g, const struct proc *from, struct err *e);
/* One step of its life; carries the actions out. */
void proc_event(struct proc *p, enum life_event event);
/* Orders; without effect on one that is on its way out already. */
void proc_drain(struct proc *p, enum proc_reason why, int64_t graceful_ms, int64_t idle_ms);
void proc_end(struct proc *p, enum proc_reason why);
/* announce: what is open gets Connection: close. */
void proc_park(struct proc *p, bool announce);
void proc_resume(struct proc *p);
/* A message on its channel; -1 when it cannot be told. */
NODISCARD int proc_tell(struct proc *p, int type, const void *payload, size_t n);
/* Sends a signal now, or as soon as its pid is known. */
void proc_signal(struct proc *p, int signo);
/* The mold has said which process it is. */
void proc_set_pid(struct proc *p, pid_t pid);
/* Its time to load the application, --load-timeout, begins. */
void proc_time_load(struct proc *p);
/* waitpid's status has come: says how it ended, lets go of everything, frees it. */
void proc_reap(struct proc *p, int status);
/* At the end of the master. */
void proc_destroy(struct proc *p);

/* proc_channel.c: reads and handles what is on the channel. The descriptor is taken. */
void proc_channel_open(struct proc *p, int fd);
void proc_channel_close(struct proc *p);
void proc_channel_drain(struct proc *p);

const char *proc_reason_name(enum proc_reason r);
int64_t proc_age_ms(const struct proc *p);
