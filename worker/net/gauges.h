/* What the I/O thread has in hand, for the master to read.
 * SPDX-License-Identifier: MIT */
#pragma once

struct net;

/* Requests by phase, connections by listener and state; a walk over the open requests, and
 * not over the connections, of which there may be many more. */
void gauges_publish(struct net *net);
