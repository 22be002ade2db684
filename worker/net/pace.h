/* Slower answers for accounts that have used up their quota: a token bucket per connection.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/net/timer.h"

struct conn;
struct req;

#define PACE_MS 200 /* how often a connection that waits is looked at */

struct pace {
	struct timer timer; /* while it waits */
	uint64_t rate;      /* bytes a second; 0: as fast as it goes */
	int64_t left; /* below 0: sent ahead of its time, a send is not cut for this */
	uint64_t looked_ns; /* when the quota was looked up */
};

/* Before a send: whether its account has to wait. */
bool pace_holds(struct conn *c, struct req *r);
/* So many bytes were sent. */
void pace_take(struct conn *c, uint64_t bytes);
/* Looks again later. */
void pace_wait(struct conn *c);
void pace_timeout(struct conn *c);
