/* The workers: as many as wanted, each slot kept filled from the present generation.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/msg.h"
#include "master/slot.h"
#include "master/spawn.h"

struct accounts;
struct board;
struct event_base;

#define FLEET_MAX 1024
#define FLEET_LINES 2048   /* processes at a time: BOARD_LINES */
#define FLEET_IDLE_MS 2000 /* see msg_drain.idle_ms */
#define FLEET_ORPHANS 16

/* Called from the loop; may call back into the fleet. */
struct fleet_events {
	/* A worker is ready (it accepts, or is parked as it was started). */
	void (*on_ready)(void *ctx, struct proc *p);
	/* A worker could not load the application, or do what the options ask (p->refused):
	 * why, in its own words, is p->failure. */
	void (*on_failed)(void *ctx, struct proc *p);
	/* A child has ended and is about to be waited for. */
	void (*on_dying)(void *ctx, pid_t pid);
	/* A worker was reaped; p is freed after this call. cause as report_cause(). */
	void (*on_gone)(void *ctx, struct proc *p, const char *cause);
	/* A worker said CHECKED. status 0: no answer, text says why. */
	void (*on_checked)(void *ctx, struct proc *p, unsigned status, struct str text);
	/* A mold has loaded the application (text: why forks would be unsafe, or nothing),
	 * or could not (text: why). */
	void (*on_mold)(void *ctx, struct mold *mold, bool loaded, struct str text);
	/* A request is past its deadline (stuck: past its grace, too). */
	void (*on_overdue)(void *ctx, struct proc *p, bool stuck, struct str text);
	/* With --reload: files to watch, one per line. */
	void (*on_files)(void *ctx, struct str lines);
	/* A child that is neither worker nor mold was reaped; false: nobody's. */
	bool (*on_stranger)(void *ctx, pid_t pid, int status);
	/* After fleet_stop: the last worker is gone. */
	void (*on_all_gone)(void *ctx);
	void *ctx;
};

struct fleet {
	struct event_base *base;   /* borrowed */
	struct spawn_setup spawn;  /* what it points to is borrowed */
	struct generation *gen;    /* a reference: what slots are filled from */
	struct board *board;       /* owned mapping, shared by the workers */
	struct accounts *accounts; /* borrowed; NULL: nobody sums them up */
	struct fleet_events events;
	struct slot *slots[FLEET_MAX]; /* owned; NULL until first used */
	struct proc *procs;            /* owned list: every live process */
	bool lines[FLEET_LINES];       /* of the board: taken by a process */
	struct mold *molds;            /* list of every live mold, owned by generations */
	unsigned wanted;               /* slots 0 .. wanted-1 are kept filled */
	struct tally tally;
	bool ever_ready, stopping;
	struct msg msg; /* the one being read */
	/* Reaped before the mold could say whose they are: newest last. */
	struct {
		pid_t pid;
		int status;
	} orphans[FLEET_ORPHANS];
	unsigned n_orphans; /* ever; modulo FLEET_ORPHANS is the next place */
};

/* `f` is filled in up to `events`; starts `n` workers once the loop runs. */
NODISCARD int fleet_start(struct fleet *f, unsigned n, struct err *e);
/* In place of fleet_start, for a master that takes over: a slot without its workers ... */
NODISCARD int fleet_adopt_slot(struct fleet *f, const struct slot *from, struct err *e);
/* ... and, when all workers are adopted, everything goes on. */
void fleet_resume(struct fleet *f);
/* After the loop has ended; kills what is left. */
void fleet_finish(struct fleet *f);

/* The number of workers from now on, 1 .. FLEET_MAX; the last slots drain. */
void fleet_scale(struct fleet *f, unsigned target);
/* Starts a worker of `g` beside the one that serves in the slot, instead of one that is
 * coming. It takes over when ready, for `why`; one started parked waits for
 * fleet_take_over(). NULL: err. */
NODISCARD struct proc *fleet_start_beside(struct fleet *f, unsigned slot,
    struct generation *g, enum proc_reason why, bool parked, struct err *e);
/* p, ready or parked, serves in its slot from now on; who served there is drained, or
 * parked when p->park_old. */
void fleet_take_over(struct fleet *f, struct proc *p);
/* A parked worker serves in its slot again; what came after it is drained for `why`. */
void fleet_take_back(struct fleet *f, struct proc *p, enum proc_reason why);
/* Slots are filled from g from now on (the fleet takes a reference). */
void fleet_set_generation(struct fleet *f, struct generation *g);
/* Every worker finishes what it has, at most for so long, then on_all_gone. */
void fleet_stop(struct fleet *f, int64_t graceful_ms);
/* At once; also while a graceful stop is under way. */
void fleet_stop_now(struct fleet *f);
/* SIGCHLD: collects every dead child, also those of dead workers. */
void fleet_reap(struct fleet *f);
/* Hands the (re-opened) log files to every worker and mold. */
void fleet_reopen(struct fleet *f);
/* Slots whose worker accepts. */
unsigned fleet_count_ready(const struct fleet *f);
/* Processes in this state. */
unsigned fleet_count(const struct fleet *f, enum life_state state);

/* The fleet's part, called by processes and molds. */
void fleet_proc_ready(struct fleet *f, struct proc *p);
void fleet_proc_failed(struct fleet *f, struct proc *p);
void fleet_proc_stuck(struct fleet *f, struct proc *p);
void fleet_proc_gone(struct fleet *f, struct proc *p, const char *cause, int64_t life_ms);
void fleet_mold_done(struct fleet *f, struct mold *m, bool loaded, struct str text);
/* A worker that was never born: its mold ended first. */
void fleet_proc_lost(struct fleet *f, struct proc *p);
/* The mold forked a worker; pid <= 0: it could not. */
void fleet_mold_forked(struct fleet *f, unsigned slot, unsigned epoch, pid_t pid);
