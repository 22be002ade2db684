/* What happens to a request that passed its deadline: its stack is logged, the master told,
 * and the application interrupted in it and nowhere else. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

NODISCARD int watchdog_add_exception(struct state *st, PyObject *module);

/* Once per serving process, before the I/O thread starts; on the main thread, with the GIL.
 */
NODISCARD int watchdog_start(struct state *st, struct err *e);
/* After the last request: the error log and the shared segment may go. */
void watchdog_stop(void);

/* The I/O thread's app_ops.overdue(). */
bool watchdog_overdue(struct req *r);

/* With the GIL: whether c is in the application, past its deadline and not yet interrupted;
 * true once. */
bool watchdog_take(struct call *c);
