/* The workers: as many as wanted, each in a slot, replaced when they die.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/heritage.h"
#include "common/msg.h"
#include "master/spawn.h"

struct board;
struct event_base;
struct slot;

#define FLEET_MAX 1024

/* Called from the loop; may call back into the fleet. */
struct fleet_events {
	/* A worker accepts for the first time since it was started. */
	void (*on_ready)(void *ctx, unsigned slot, pid_t pid);
	/* No worker was ever ready, and one could not load the application or do what the
	 * options ask (refused): why, in its own words. At most once. */
	void (*on_load_failed)(void *ctx, struct str text, bool refused);
	/* After fleet_stop: the last worker is gone. */
	void (*on_gone)(void *ctx);
	void *ctx;
};

struct fleet {
	struct event_base *base;   /* borrowed */
	struct spawn_setup spawn;  /* what it points to is borrowed */
	struct heritage *heritage; /* borrowed; slot and epoch are set for each worker */
	struct board *board;       /* owned mapping, shared by the workers */
	struct fleet_events events;
	struct slot *slots[FLEET_MAX]; /* owned; NULL until first used */
	unsigned wanted;               /* slots 0 .. wanted-1 are kept filled */
	bool ever_ready, load_failed, stopping;
	struct msg msg; /* the one being read */
};

/* `f` is filled in up to `events`; starts `n` workers once the loop runs. */
NODISCARD int fleet_start(struct fleet *f, unsigned n, struct err *e);
/* After the loop has ended; kills what is left. */
void fleet_finish(struct fleet *f);

/* One more or one less; the last slot drains. */
void fleet_scale(struct fleet *f, int by);
/* Every worker finishes what it has, at most for so long, then on_gone. */
void fleet_stop(struct fleet *f, int64_t graceful_ms);
/* At once; also while a graceful stop is under way. */
void fleet_stop_now(struct fleet *f);
/* SIGCHLD: collects every dead child, also those of dead workers. */
void fleet_reap(struct fleet *f);
/* Hands the (re-opened) log files to every worker. */
void fleet_reopen(struct fleet *f);
unsigned fleet_count_ready(const struct fleet *f);
