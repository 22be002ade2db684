/* What signals mean to the master. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

struct event;
struct event_base;
struct master;

#define SIGNALS_MAX 16

struct signals {
	struct event *events[SIGNALS_MAX]; /* owned */
};

/* Before the exec of another image, which would die of a signal it does not handle yet:
 * they wait until its signals_open(). -1: they cannot be held back (hold), or let go. */
NODISCARD int signals_hold(bool hold);
/* From here on signals are events of the loop; SIGPIPE is ignored. */
NODISCARD int signals_open(
    struct signals *s, struct event_base *base, struct master *m, struct err *e);
void signals_close(struct signals *s);
