/* Counts open requests and connections into the worker's segment.
 * SPDX-License-Identifier: MIT */
#include "worker/net/gauges.h"

#include "worker/net/conn.h"
#include "worker/net/listener.h"
#include "worker/net/req_io.h"

struct in_hand {
	uint64_t in_phase[NET_PHASE_COUNT];
	uint64_t oldest_ns[NET_PHASE_COUNT];
	uint64_t active[SEG_LISTENERS]; /* connections with a request under way */
};

static void
look(struct in_hand *h, const struct req *r)
{
	const unsigned phase = req_phase(r);

	h->in_phase[phase]++;
	if (h->oldest_ns[phase] == 0 || r->start_ns < h->oldest_ns[phase])
		h->oldest_ns[phase] = r->start_ns;
	if (r->conn != NULL && !r->conn->own && r->conn->aside == NET_STATE_idle)
		h->active[r->listener->index]++;
}

static void
set(_Atomic uint64_t *gauge, uint64_t v)
{
	atomic_store_explicit(gauge, v, memory_order_relaxed);
}

static void
publish_connections(struct seg_gauges *g, const struct listener *l, uint64_t active)
{
	_Atomic uint64_t *to = g->connections[l->index];
	const uint64_t busy =
	    active + l->n_aside[NET_STATE_handshake] + l->n_aside[NET_STATE_lingering];

	set(&to[NET_STATE_idle], l->n_conns - MIN(busy, l->n_conns));
	set(&to[NET_STATE_active], active);
	set(&to[NET_STATE_handshake], l->n_aside[NET_STATE_handshake]);
	set(&to[NET_STATE_lingering], l->n_aside[NET_STATE_lingering]);
}

void
gauges_publish(struct net *net)
{
	struct seg *seg = net->seg;
	struct in_hand h = {.in_phase = {0}};

	for (const struct req *r = net->reqs; r != NULL; r = r->next)
		look(&h, r);
	for (int i = 0; i < NET_PHASE_COUNT; i++) {
		set(&seg->gauges.in_phase[i], h.in_phase[i]);
		set(&seg->gauges.oldest_ns[i], h.oldest_ns[i]);
	}
	for (size_t i = 0; i < net->n_listeners; i++)
		publish_connections(
		    &seg->gauges, &net->listeners[i], h.active[net->listeners[i].index]);
	stat_set(seg, STAT_in_flight, net->n_reqs);
	stat_set(seg, STAT_queued, h.in_phase[NET_PHASE_queue]);
}
