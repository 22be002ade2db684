/* The I/O thread of a worker: its loop, clock, pools, and everything it owns.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/acct_rule.h"
#include "common/http/head.h"
#include "common/seg.h"
#include "worker/net/app_ops.h"
#include "worker/net/routes.h"
#include "worker/net/timer.h"

#include <event2/event.h>
#include <event2/event_struct.h>

struct access_format;
struct acct;
struct board;
struct conn;
struct listener;
struct req;
struct selfcheck;
struct tls_context;
struct worker;

/* Whether an application thread that has something for the I/O thread must wake it. */
enum io_state {
	IO_RUNNING,  /* it will look before it sleeps */
	IO_NAPPING,  /* it looks within a millisecond: wake it only when going idle */
	IO_SLEEPING, /* wake it */
};

#define NET_SCRATCH 65536
#define NET_BUFFER 16384 /* a connection's read buffer before it grows */
#define NET_POOL 512     /* free buffers and requests kept */
#define NET_TICK_MS 200  /* timeouts, heartbeat */

struct net {
	struct worker *worker;     /* borrowed */
	const struct conf *conf;   /* borrowed */
	struct seg *seg;           /* borrowed */
	const struct board *board; /* borrowed */
	struct acct *accounts;     /* borrowed; NULL: nothing is counted per account */
	struct acct_rule account_rule;
	struct routes routes;
	uint32_t tally_key;           /* of the last request that was counted */
	_Atomic uint64_t *tally_cell; /* and where; NULL: there was none */
	struct topk top[TOPS];
	const struct quota *quota; /* borrowed; NULL: there are none */
	const struct app_ops *ops; /* borrowed */
	struct event_base *base;
	struct tls_context *tls;      /* NULL: no TLS listener */
	struct access_format *access; /* NULL: no access log */
	bool log_acked;               /* its records wait for acknowledgements */
	struct head_limits limits;
	struct listener *listeners; /* owned */
	size_t n_listeners;

	/* Clock */
	uint64_t now_ns; /* CLOCK_MONOTONIC, as of this turn; 0: not read yet */
	int64_t wall_us; /* add now_ns / 1000 to get Unix time; refreshed every tick */

	/* What the application side signalled: struct req by sig_next, newest first */
	_Atomic(struct req *) signalled;
	_Atomic int io_state;
	_Atomic uint32_t deferred; /* signals since the last wake-up, while napping */
	int wake_fd;               /* eventfd */
	struct event wake_ev, nap_ev, tick_ev;
	bool nap_useless;  /* the last nap ended without news: sleep properly */
	bool started_some; /* start() since the last turn */

	/* Everything open */
	struct timerq timers[TIMER_KINDS];
	struct conn *conns;  /* list */
	struct conn *doomed; /* closed in this turn, freed at its end */
	struct req *reqs;    /* list */
	size_t n_conns, n_reqs;
	size_t with_app; /* started and not yet finished by the application */
	size_t parked;   /* of these, waiting for their client to take output */
	size_t left;     /* not yet done, and their connection went on or away */
	size_t capacity; /* requests the application side runs at a time */

	/* Pools (plain lists; the first word links) */
	void *free_buffers, *free_reqs;
	size_t n_free_buffers, n_free_reqs;
	uint16_t inflight_free[SEG_INFLIGHT];
	uint32_t n_inflight_free;

	uint64_t serial;
	bool accept_paused; /* descriptors ran out: until the next tick */
	bool share_waived;  /* take one above the share: see on_tick() */
	uint64_t accept_warned_ns;

	/* Stepping back (drain.h) */
	_Atomic bool announcing;      /* answers say Connection: close */
	bool draining;                /* towards the end of this worker */
	bool service_ends;            /* and nobody else accepts in its place */
	bool held;                    /* parked by the master: accepts nothing */
	uint32_t shed_every;          /* one answer of so many closes; 0: none */
	uint32_t shed_seen;           /* answers since the last of these */
	struct selfcheck *selfchecks; /* owned list */
	uint64_t idle_ns;             /* while announcing: a silent connection's time */
	bool quit;                    /* leave the loop */
	uint64_t drain_deadline_ns;
	bool stop_sent;        /* ops->stop() was called */
	_Atomic bool app_gone; /* the application threads have returned */
	/* Delay of the tick: the worst of two windows of LAG_TICKS, so that a peak stays to
	 * be seen for at least one */
	uint64_t tick_due_ns, lag_ns, lag_before_ns;
	uint32_t lag_ticks;
	char scratch[NET_SCRATCH];
};

/* One per process. */
NODISCARD int net_init(
    struct net *net, struct worker *w, const struct app_ops *ops, struct err *e);
void net_finish(struct net *net);
/* Runs until the drain is over and the application threads are gone. */
void net_run(struct net *net);

/* The instance, not just this worker, is on its way out: load balancers should leave. A
 * worker that is replaced or parked says nothing of the kind, others answer for it. */
bool net_service_ends(const struct net *net);

/* Any thread, also from a signal handler. */
void net_wake(struct net *net);

/* Reads the clock for this turn. */
uint64_t net_read_clock(struct net *net);

/* This turn's time, read at most once a turn. */
static inline uint64_t
net_now(struct net *net)
{
	return net->now_ns != 0 ? net->now_ns : net_read_clock(net);
}

/* Unix time in microseconds for a net_now() value. */
static inline int64_t
net_wall_us(const struct net *net, uint64_t now_ns)
{
	return net->wall_us + (int64_t)(now_ns / 1000);
}

/* Read buffers of NET_BUFFER bytes. NULL without memory. */
char *net_buffer_get(struct net *net);
void net_buffer_put(struct net *net, char *buf, size_t cap);
