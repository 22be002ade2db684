/* The worker asks itself: a request that goes through the whole server but the network.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

struct net;

/* status: of the answer, 0: there was none, text says why. */
typedef void selfcheck_done_fn(unsigned status, struct str text);

/* GET path, as a client of the first listener that sends Connection: close. `done` is
 * called once, on the I/O thread, perhaps before this returns. Works while parked, too. */
void selfcheck_start(struct net *net, struct str path, selfcheck_done_fn *done);
/* Forgets those that have no answer yet. */
void selfchecks_finish(struct net *net);
