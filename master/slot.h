/* One worker's place: its process, channel and segment, and what it waits for. Internal to
 * the fleet. SPDX-License-Identifier: MIT */
#pragma once

#include "master/backoff.h"
#include "master/fleet.h"

struct event;
struct seg;

enum slot_state {
	SLOT_EMPTY,    /* no process, none coming */
	SLOT_WAITING,  /* no process; the timer starts one */
	SLOT_LOADING,  /* started; the timer is --load-timeout */
	SLOT_READY,    /* accepts */
	SLOT_DRAINING, /* asked to finish; the timer kills */
	SLOT_ENDING,   /* asked to end at once; the timer kills */
};

struct slot {
	struct fleet *fleet; /* borrowed */
	unsigned index, epoch;
	enum slot_state state;
	pid_t pid;                 /* 0: no process */
	int channel;               /* owned; -1: none */
	struct event *on_readable; /* owned; NULL: none */
	struct event *timer;       /* owned */
	struct seg *seg;           /* owned mapping */
	int64_t born_ms;           /* monotonic */
	bool was_ready, failed,
	    expected; /* the present process: served, gave up, was asked */
	struct backoff backoff;
};

NODISCARD struct slot *slot_create(struct fleet *f, unsigned index);
void slot_destroy(struct slot *s);

/* Starts a process after so long (0: on the next turn of the loop). */
void slot_start_in(struct slot *s, int64_t ms);
/* No process is running: none shall come. */
void slot_cancel(struct slot *s);
void slot_drain(struct slot *s, int64_t graceful_ms);
void slot_end(struct slot *s);
/* The process is gone: reads its last words, reports, lets go of everything. Returns the
 * milliseconds to wait before the next. */
int64_t slot_reap(struct slot *s, int status);

/* The fleet's part, called by a slot. */
void fleet_slot_ready(struct fleet *f, struct slot *s);
/* refused: it is the options that cannot be met, not the application. */
void fleet_slot_failed(struct fleet *f, struct str text, bool refused);
