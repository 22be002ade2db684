/* Slower answers for accounts that have used up their quota. SPDX-License-Identifier: MIT
 */
#include "worker/net/pace.h"

#include "common/quota.h"
#include "worker/net/account_key.h"
#include "worker/net/conn.h"
#include "worker/net/req_io.h"

#define LOOK_NS (PACE_MS * 1000000ull)
#define BURST_NS 1000000000ull /* what a connection may have saved up */

/* Who pays may be known only now, and states change with each flush of the ledger. */
static void
look_up(struct conn *c, struct req *r, uint64_t now)
{
	struct pace *p = &c->pace;
	uint64_t past = MIN(now - p->looked_ns, (uint64_t)BURST_NS);
	struct quota_view view;
	char key[ACCT_KEY_MAX];

	quota_find(c->net->quota, key, account_key_of(r, key), &view);
	p->rate = view.state == QUOTA_THROTTLE ? MIN(view.rate, (uint64_t)INT32_MAX) : 0;
	p->left = MIN(p->left + (int64_t)(p->rate * past / 1000000000u), (int64_t)p->rate);
	p->looked_ns = now;
}

bool
pace_holds(struct conn *c, struct req *r)
{
	struct pace *p = &c->pace;
	uint64_t now;

	if (c->net->quota == NULL || c->own)
		return false;
	now = net_now(c->net);
	if (now - p->looked_ns >= LOOK_NS)
		look_up(c, r, now);
	if (p->rate == 0 || p->left > 0)
		return false;
	if (!r->slowed_counted)
		r->slowed = r->slowed_counted = true;
	return true;
}

void
pace_take(struct conn *c, uint64_t bytes)
{
	if (c->pace.rate > 0)
		c->pace.left -= (int64_t)bytes;
}

void
pace_wait(struct conn *c)
{
	timer_set(c->net->timers, &c->pace.timer, TIMER_PACE, net_now(c->net));
}

void
pace_timeout(struct conn *c)
{
	if (c->state == CONN_REQUEST && c->req != NULL)
		conn_flush(c);
}
