/* The life of a worker process as a table: state x event -> next state and what to do.
 * Pure: no process, no clock; master/proc.c carries the actions out.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

enum life_state {
	LIFE_BOOTING,  /* started, loads the application */
	LIFE_READY,    /* accepts, has had no request since */
	LIFE_IDLE,     /* accepts, has had requests, has none now */
	LIFE_BUSY,     /* accepts, has requests in flight */
	LIFE_STUCK,    /* accepts, but a request does not end: to be replaced */
	LIFE_PARKED,   /* alive, accepts nothing */
	LIFE_DRAINING, /* asked to finish what it has and go */
	LIFE_EXITING,  /* asked to go at once, or told to die */
	LIFE_DEAD,     /* reaped */
	LIFE_STATES
};

enum life_event {
	LIFE_EV_READY,        /* it says so, and accepts */
	LIFE_EV_READY_PARKED, /* it says so, and was started parked */
	LIFE_EV_FAILED,       /* it says why it could not load */
	LIFE_EV_BUSY,         /* seen in its segment */
	LIFE_EV_IDLE,         /* the same */
	LIFE_EV_STUCK,        /* it says that a request does not end */
	LIFE_EV_HUNG,         /* its I/O thread has stopped: the heartbeat is old */
	LIFE_EV_PARK,         /* an order */
	LIFE_EV_RESUME,       /* an order */
	LIFE_EV_DRAIN,        /* an order */
	LIFE_EV_QUIT,         /* an order */
	LIFE_EV_CHANNEL_LOST, /* it closed its end: it can no longer be steered */
	LIFE_EV_TIMEOUT,      /* of the present state: boot, drain, exit */
	LIFE_EV_EXITED,       /* reaped */
	LIFE_EVENTS
};

enum life_action {
	LIFE_NOTIFY_READY = 1 << 0,  /* tell the fleet that it serves */
	LIFE_NOTIFY_FAILED = 1 << 1, /* tell the fleet that it never will */
	LIFE_TELL_PARK = 1 << 2,
	LIFE_TELL_RESUME = 1 << 3,
	LIFE_TELL_DRAIN = 1 << 4,
	LIFE_TELL_QUIT = 1 << 5,
	LIFE_SIGNAL_TERM = 1 << 6, /* it does not listen to its channel yet */
	LIFE_SIGNAL_ABORT = 1 << 7,
	LIFE_SIGNAL_KILL = 1 << 8,
	LIFE_TIMER_OFF = 1 << 9,
	LIFE_TIMER_DRAIN = 1 << 10, /* the graceful time and a little more */
	LIFE_TIMER_EXIT = 1 << 11,  /* then SIGKILL */
	LIFE_EXPECTED = 1 << 12,    /* its end is what was asked for */
	LIFE_REPLACE = 1 << 13,     /* somebody else must take its place first */
	LIFE_GONE = 1 << 14,        /* tell the fleet; nothing is left of it */
	LIFE_UNEXPECTED = 1 << 15,  /* its end cuts requests, whatever was asked */
};

struct life_step {
	uint8_t next;     /* enum life_state */
	uint32_t actions; /* enum life_action, or-ed */
};

struct life_step life_step(enum life_state state, enum life_event event);
/* "booting", ...: the words of the control protocol. */
const char *life_name(enum life_state state);
/* Whether it takes new connections. */
bool life_accepts(enum life_state state);
