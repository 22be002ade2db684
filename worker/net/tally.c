/* Counts a request in the worker's segment. SPDX-License-Identifier: MIT */
#include "worker/net/tally.h"

#include "worker/net/listener.h"
#include "worker/net/net.h"
#include "worker/net/req.h"

static void
count_abort(const struct req *r, enum net_abort by)
{
	const unsigned phase = r->cut_in > 0 ? r->cut_in - 1u : NET_PHASE_write;

	seg_count_net(r->net->seg, NET_COUNT_ABORTED + by * NET_PHASE_COUNT + phase);
}

void
tally_count(struct req *r)
{
	struct net *net = r->net;
	const uint32_t key = req_key(r->listener->index,
	    req_method_find(span_str(r->base, r->head.method)), req_code_find(r->status));

	/* Mostly it is one like the one before. */
	if (UNLIKELY(key != net->tally_key)) {
		net->tally_cell = req_table_find(&net->seg->requests, key);
		net->tally_key = key;
	}
	counter_add(net->tally_cell, 1);
	switch (atomic_load_explicit(&r->outcome, memory_order_relaxed)) {
	case REQ_CLIENT_GONE:
		count_abort(r, NET_ABORT_client);
		break;
	case REQ_TIMED_OUT:
		count_abort(r, NET_ABORT_timeout);
		break;
	case REQ_APP_FAILED:
	case REQ_STOPPED:
		count_abort(r, NET_ABORT_server);
		break;
	default: /* sent, or refused: it is rejected, then */
		break;
	}
}
