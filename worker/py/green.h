/* Requests in greenlets, on the stock hub of eventlet or gevent in the worker's main thread
 * (--worker-class eventlet, gevent). SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

/* Before the I/O thread starts: attaches the loop's eventfd to the hub of `library`.
 * With the GIL, on the main thread, which t is. */
NODISCARD int green_open(struct app_thread *t, const char *library, struct err *e);
/* Runs the hub until the worker stops and the last request has ended. */
void green_run(void);

/* Any thread: what a greenlet of this call may be waiting for has come. True: somebody must
 * wake the loop; its ready() says so. */
bool green_news(struct call *c, enum call_wait what);
/* The greenlet that is being started for a request: new reference. */
PyObject *green_starting(void);
/* The overdue call whose greenlet is the running one; NULL: none. */
struct call *green_current_overdue(void);
/* With the GIL: where the greenlet of a call waits, for free(); NULL: it runs. */
char *green_stack(const struct call *c, size_t max);

/* The loop's thread: whether greenlets can be switched to. */
bool green_has_news(void);

/* In a request's greenlet: lets others run until green_news(c, what), or earlier. -1 with
 * an exception: one was thrown into the greenlet. The call may be over by then. */
NODISCARD int green_wait(struct call *c, enum call_wait what);
/* The call is over: who waits for its news goes on. */
void green_release(struct call *c);
