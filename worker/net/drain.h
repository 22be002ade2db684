/* A worker that steps back: it drains and ends, or is parked and may come back.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

struct msg_drain;
struct net;

/* All on the I/O thread. */

/* Accept no more, finish what is in hand within order->graceful_ms, then leave the loop. A
 * second order can only make it shorter. */
void drain_start(struct net *net, const struct msg_drain *order);
/* Once per loop turn: cuts what is left when the time is over, ends the loop. */
void drain_check(struct net *net);
/* Every NET_TICK_MS. */
void drain_tick(struct net *net);

/* Accept no more, but keep the listeners and go on serving; announce: answers say
 * Connection: close and idle connections end soon. A drain overrides it. */
void drain_park(struct net *net, bool announce);
/* Takes drain_park() back. */
void drain_resume(struct net *net);
