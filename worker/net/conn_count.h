/* What is counted of connections: opened and closed, why, in which state, handshakes.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/net/conn.h"

/* All: a connection of the server to itself counts as one that is open, and nowhere else.
 */
void conn_count_open(struct conn *c);
/* Once, and the last word about it. */
void conn_count_close(struct conn *c);
/* Completed or failed. */
void conn_count_handshake(struct conn *c, bool completed);
/* It is not simply idle or active: handshake or lingering; idle: it is again. */
void conn_set_aside(struct conn *c, enum net_state state);

/* It is going to end for this reason. The first one told is the reason: what happens on the
 * way out is not. */
static inline void
conn_blame(struct conn *c, enum net_close why)
{
	if (c->why == 0)
		c->why = (uint8_t)(1 + why);
}
