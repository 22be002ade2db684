/* Whether a request's account may still have an answer. SPDX-License-Identifier: MIT */
#include "worker/net/quota_gate.h"

#include "common/quota.h"
#include "worker/net/account_key.h"
#include "worker/net/req_io.h"

bool
quota_gate_denies(struct req *r)
{
	const struct net *net = r->net;
	struct quota_view view;
	char key[ACCT_KEY_MAX];
	uint64_t now;

	if (net->quota == NULL || net->account_rule.kind == ACCT_RULE_NONE)
		return false;
	quota_find(net->quota, key, account_key_rule(r, key), &view);
	if (view.state != QUOTA_DENY)
		return false;
	now = (uint64_t)net_wall_us(r->net, net_now(r->net)) / 1000000;
	/* Of a ledger that has been dead since: it would have begun the next window. */
	if (view.until <= now)
		return false;
	r->retry_after = (uint32_t)MIN(view.until - now, (uint64_t)UINT32_MAX);
	r->slowed = true;
	return true;
}
