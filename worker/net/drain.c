/* How a worker steps back without losing a request: no close without an announcement.
 * SPDX-License-Identifier: MIT */
#include "worker/net/drain.h"

#include "common/conf.h"
#include "common/log.h"
#include "common/msg.h"
#include "worker/net/conn.h"
#include "worker/net/conn_count.h"
#include "worker/net/listener.h"
#include "worker/net/req.h"

#define PARKED_IDLE_NS 2000000000ull

/* Whoever has just been answered may be sending its next request at this moment: it gets
 * that answered, with Connection: close. Only who has been silent for idle_ns is closed. */
static void
announce(struct net *net, uint64_t idle_ns)
{
	struct timerq *idle = &net->timers[TIMER_KEEPALIVE];

	net->idle_ns = idle_ns;
	atomic_store(&net->announcing, true);
	if (idle_ns > 0 && (idle->after_ns == 0 || idle_ns < idle->after_ns))
		timerq_rescale(idle, idle_ns);
	for (struct conn *c = net->conns, *next; c != NULL; c = next) {
		next = c->next;
		if (c->state != CONN_IDLE)
			continue;
		if (c->served > 0 && idle_ns == 0)
			conn_end_idle(c);
		else if (c->served == 0)
			conn_time_first(c);
	}
}

static void
announce_no_more(struct net *net)
{
	if (!net->announcing)
		return;
	atomic_store(&net->announcing, false);
	for (struct conn *c = net->conns; c != NULL; c = c->next)
		if (c->state == CONN_IDLE && c->served == 0)
			conn_time_first(c);
	timerq_rescale(
	    &net->timers[TIMER_KEEPALIVE], (uint64_t)net->conf->keep_alive * 1000000u);
}

void
drain_start(struct net *net, const struct msg_drain *order)
{
	const uint64_t deadline = net_now(net) + order->graceful_ms * 1000000ull;
	uint64_t idle_ns = order->idle_ms * 1000000ull;

	if (net->draining) {
		net->drain_deadline_ns = MIN(net->drain_deadline_ns, deadline);
		idle_ns = MIN(net->idle_ns, idle_ns);
	} else {
		net->drain_deadline_ns = deadline;
	}
	net->draining = true;
	/* Connections in the queue of a socket that others serve as well are theirs: our
	 * copy of it can go. Otherwise they were told "connected" and would be reset. */
	if (order->accept) {
		net->service_ends = true;
		listeners_drain(net, false);
	} else {
		listeners_close(net);
	}
	announce(net, idle_ns);
}

void
drain_park(struct net *net, bool announcing)
{
	if (net->draining)
		return;
	net->held = true;
	listeners_hold(net, true);
	if (announcing)
		announce(net, PARKED_IDLE_NS);
	else
		announce_no_more(net);
}

void
drain_resume(struct net *net)
{
	if (net->draining || !net->held)
		return;
	net->held = false;
	listeners_hold(net, false);
	announce_no_more(net);
}

/* The graceful time is over: what is still open is cut, and its hooks are told so. */
static void
cut_everything(struct net *net)
{
	log_warn("worker", "graceful time is over", "connections=%zu requests=%zu",
	    net->n_conns, net->n_reqs);
	while (net->conns != NULL) {
		conn_blame(net->conns, NET_CLOSE_drain);
		conn_close(net->conns, REQ_STOPPED);
	}
}

void
drain_check(struct net *net)
{
	if (!net->draining)
		return;
	if (net->n_conns > 0 && net_now(net) >= net->drain_deadline_ns)
		cut_everything(net);
	if (net->n_conns > 0 || !listeners_closed(net))
		return;
	/* Requests may outlive their connections (hooks): the application threads finish
	 * those before they return. */
	if (!net->stop_sent) {
		net->stop_sent = true;
		net->ops->stop();
	}
	if (atomic_load(&net->app_gone) && atomic_load(&net->signalled) == NULL)
		net->quit = true;
}

void
drain_tick(struct net *net)
{
	if (net->draining && !listeners_closed(net))
		listeners_drain(net, true);
}
