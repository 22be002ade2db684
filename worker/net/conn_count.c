/* Counts connections in the worker's segment. SPDX-License-Identifier: MIT */
#include "worker/net/conn_count.h"

#include "worker/net/listener.h"

void
conn_count_open(struct conn *c)
{
	struct seg *seg = c->net->seg;

	stat_add(seg, STAT_accepted, 1);
	stat_add(seg, STAT_connections, 1);
	if (c->own)
		return;
	counter_add(&seg->accepted[c->listener->index], 1);
	c->listener->n_conns++;
}

/* -1: no error. */
static int
fault_of(enum net_close why)
{
	switch (why) {
	case NET_CLOSE_reset:
		return NET_FAULT_reset;
	case NET_CLOSE_timeout:
		return NET_FAULT_timeout;
	case NET_CLOSE_protocol:
		return NET_FAULT_protocol;
	case NET_CLOSE_tls:
		return NET_FAULT_tls;
	default:
		return -1;
	}
}

void
conn_count_close(struct conn *c)
{
	struct seg *seg = c->net->seg;
	const uint32_t listener = c->listener->index;
	int fault;

	stat_add(seg, STAT_connections, (uint64_t)-1);
	if (c->own)
		return;
	conn_blame(c, c->eof ? NET_CLOSE_client : NET_CLOSE_server);
	conn_set_aside(c, NET_STATE_idle);
	c->listener->n_conns--;
	seg_count_net(seg, NET_COUNT_CLOSED + c->why - 1u);
	fault = fault_of(c->why - 1u);
	if (fault >= 0)
		seg_count_net(
		    seg, NET_COUNT_FAULTS + listener * NET_FAULT_COUNT + (unsigned)fault);
}

void
conn_count_handshake(struct conn *c, bool completed)
{
	struct seg *seg = c->net->seg;
	unsigned place = NET_HANDSHAKE_FAILED;

	if (completed) {
		const bool resumed = tls_resumed(&c->t);

		place = net_handshake_find(tls_version(&c->t), resumed);
		if (resumed)
			stat_add(seg, STAT_tls_resumed, 1);
	}
	stat_add(seg, completed ? STAT_tls_handshakes : STAT_tls_errors, 1);
	seg_count_net(seg, NET_COUNT_HANDSHAKES + place);
}

void
conn_set_aside(struct conn *c, enum net_state state)
{
	if (c->own)
		return;
	if (c->aside != NET_STATE_idle)
		c->listener->n_aside[c->aside]--;
	c->aside = (uint8_t)state;
	if (state != NET_STATE_idle)
		c->listener->n_aside[state]++;
}
