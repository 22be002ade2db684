/* An application side in C for tests of the I/O thread: one thread, a queue, canned
 * behaviour by path. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/net/app_ops.h"

#include <stdatomic.h>

struct fake_counts {
	_Atomic int started, ended, done, released, aborted, overdue;
	_Atomic int awaited;          /* of those who wait: whose numbers became final */
	_Atomic uint64_t sent, acked; /* of the last of them */
};

#define FAKE_THREAD 5 /* the number it says it has */

extern struct fake_counts fake_counts;
extern _Atomic int fake_stall_ms; /* the I/O thread is held up once for so long */
extern _Atomic int fake_let_go;
extern _Atomic int fake_gate; /* opens when not 0 */
extern const struct app_ops fake_app_ops;

/* /hello: "hello"; /stream: 16 chunks; /big: 8 MiB in 64 KiB steps with back-pressure;
 * /echo: the body's length as text; /hook: needs end(); /await, /await-big (16 MiB),
 * /await-cut: and waits for the acknowledgement; /never: answers only when aborted;
 * /soon: a deadline of 50 ms of its own, returns when fake_let_go is set;
 * /cut: half an answer, then REQ_ABORT; /borrow: 16 times 1 MiB that is handed back;
 * /gate, /late: a head, then waits for the gate, or the other way round; /https: cuts what
 * does not come by a TLS listener. */
void fake_app_start(void);
/* After stop(): joins the thread. */
void fake_app_join(void);
