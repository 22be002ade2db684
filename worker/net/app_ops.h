/* The only seam between the I/O thread and the application side (Python; a C fake in
 * tests). SPDX-License-Identifier: MIT */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct req;

/* Where an exception left the application. */
enum app_stage { APP_CALL, APP_ITERATE, APP_CLOSE, APP_STAGES };

/* Counted by application threads, folded into the shared segment by the I/O thread (the
 * segment's only writer). They only grow. */
struct app_counts {
	_Atomic uint64_t errors[APP_STAGES]; /* exceptions that left the application */
	_Atomic uint64_t hooks_run;          /* post hooks called */
	_Atomic uint64_t hook_errors;        /* exceptions that left one */
	_Atomic uint64_t late_accounts;      /* shoal.account changed after the head */
};

/* How application threads spent their time, all together, up to now. */
struct app_times {
	uint64_t busy_ns, idle_ns;
	uint64_t gil_wait_ns; /* part of busy_ns */
	unsigned threads;
};

/*
 * Called on the I/O thread. None may block, need the GIL, or call back into req.h's
 * application half. A request is the application side's from start() until it calls
 * req_done(); in between the I/O thread may call the others in any order.
 */
struct app_ops {
	/* A request is ready to run: head complete, body as --request-buffering says. */
	void (*start)(struct req *r);
	/* Once after each req_body_want(): body bytes, the body's end, or its break. Never
	 * uninvited, so the request is sure to be alive. */
	void (*body)(struct req *r);
	/* Once after each req_want_pull(): there is room for output again, or r->aborted.
	 */
	void (*pull)(struct req *r);
	/* After req_finish(r, REQ_NEEDS_END): the outcome is final (r->outcome, counters).
	 * Run the post hooks, then req_done(); or req_await_ack(), and it is called again
	 * when r->acked is final. */
	void (*end)(struct req *r);
	/* Once, when the request passed its deadline in the middle of the application's
	 * work, after the server answered it: report it, and have the application let go of
	 * it. False: the application has not begun with it. */
	bool (*overdue)(struct req *r);
	/* A borrowed buffer or file of req_out_borrow/_file is no longer needed. */
	void (*release)(void *owner);
	/* End of a loop turn: wake as many sleeping application threads as there is work.
	 */
	void (*flush)(void);
	/* The drain is over (nothing in flight) or its time is up: application threads
	 * return when their current request does. */
	void (*stop)(void);
	struct app_counts *counts; /* NULL: none are kept */
	/* At each tick; NULL: nobody knows. now_ns: CLOCK_MONOTONIC. */
	void (*times)(uint64_t now_ns, struct app_times *out);
};
