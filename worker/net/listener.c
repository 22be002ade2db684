/* Listening sockets: accepting in small batches, and only with room for the work.
 * SPDX-License-Identifier: MIT */
#include "worker/net/listener.h"

#include "common/log.h"
#include "worker/net/conn.h"
#include "worker/net/conn_count.h"
#include "worker/net/req_io.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdio.h>

#define ACCEPT_BATCH 16
/* With other workers to share with, requests taken in beyond those that run. */
#define GATE_BACKLOG 1

static struct board_line *
own_line(const struct net *net)
{
	return &net->worker->board->line[net->worker->heritage.line % BOARD_LINES];
}

static bool
is_alone(const struct net *net)
{
	return net->worker->heritage.workers <= 1;
}

/* A worker with work in hand, or with more than its share of the connections, leaves the
 * next one to the others. */
static bool
others_first(const struct net *net)
{
	if (is_alone(net))
		return false;
	return net->with_app - net->parked >= net->capacity + GATE_BACKLOG ||
	       (!net->share_waived &&
		   board_has_share(net->worker->board, (uint32_t)net->n_conns));
}

/* A request whose client left is not over before the application is: it still takes a
 * place, or clients that come and go could start any number of them. */
static bool
is_full(const struct net *net)
{
	return net->n_conns + net->left >= (size_t)net->conf->worker_connections;
}

static bool
gate_open(const struct net *net)
{
	if (net->accept_paused || net->draining || net->held)
		return false;
	return !is_full(net) && !others_first(net);
}

static void
listener_arm(struct listener *l, bool on)
{
	if (l->fd < 0 || l->armed == on)
		return;
	l->armed = on;
	if (on)
		event_add(&l->ev, NULL);
	else
		event_del(&l->ev);
}

/* Out of descriptors or memory: everybody served so far goes on, new ones wait in the
 * queue until the next tick. */
static void
pause_accepting(struct net *net, const char *name)
{
	const uint64_t now = net_now(net);

	stat_add(net->seg, STAT_accept_errors, 1);
	net->accept_paused = true;
	if (now - net->accept_warned_ns > 10000000000ull) {
		log_error("accept", "cannot accept, pausing",
		    "listener=%s reason=\"%s\" connections=%zu hint=\"raise the limit on "
		    "open files\"",
		    name, strerror(errno), net->n_conns);
		net->accept_warned_ns = now;
	}
}

/* 1: took one, 0: the queue is empty, -1: paused. */
static int
accept_one(struct listener *l)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr peer;
	int fd = accept4(l->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		/* The kernel gave the address with the connection: a peer that is gone by
		 * now is found out by its first read, not by a failing getpeername. */
		addr_from_sockaddr(&peer, (struct sockaddr *)&ss, len);
		conn_accept(l, fd, &peer, false);
		l->net->share_waived = false;
		return 1;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		pause_accepting(l->net, l->name);
		return -1;
	}
	return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : 1; /* ECONNABORTED ...: next */
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	struct net *net = l->net;
	const int batch = is_alone(net) ? ACCEPT_BATCH : 1;

	(void)fd;
	(void)what;
	for (int i = 0; i < batch && gate_open(net); i++)
		if (accept_one(l) <= 0)
			break;
	if (!gate_open(net))
		listener_arm(l, false); /* listeners_gate() opens it again */
}

static void
close_idle(struct conn *c)
{
	conn_blame(c, NET_CLOSE_room);
	conn_close(c, REQ_SENT);
}

void
listeners_gate(struct net *net)
{
	struct board_line *line = own_line(net);
	bool open;

	atomic_store_explicit(
	    &line->connections, (uint32_t)net->n_conns, memory_order_relaxed);
	if (net->draining || net->held)
		return;
	for (size_t i = 0; i < net->n_listeners; i++) {
		struct listener *l = &net->listeners[i];

		if (l->armed || l->fd < 0)
			continue;
		open = gate_open(net);
		if (!open && is_full(net)) {
			/* Idle connections must not keep new clients out. */
			struct timer *idle = timer_oldest(&net->timers[TIMER_KEEPALIVE]);

			if (idle != NULL)
				close_idle(CONTAINER_OF(idle, struct conn, timer));
			open = gate_open(net);
		}
		if (open)
			listener_arm(l, true);
	}
}

static int
listener_open(struct listener *l, struct net *net, const struct heritage_listener *from,
    struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	l->net = net;
	l->fd = from->fd;
	l->tls = from->tls;
	memcpy(l->name, from->name, sizeof(l->name));
	if (getsockname(l->fd, (struct sockaddr *)&ss, &len) < 0)
		return err_errno(e, "listener %s", from->name);
	addr_from_sockaddr(&l->addr, (struct sockaddr *)&ss, len);
	l->is_unix = ss.ss_family == AF_UNIX;
	addr_host(&l->addr, l->server_name);
	if (!l->is_unix)
		snprintf(l->server_port, sizeof(l->server_port), "%u", addr_port(&l->addr));
	evutil_make_socket_nonblocking(l->fd);
	evutil_make_socket_closeonexec(l->fd);
	event_assign(&l->ev, net->base, l->fd, EV_READ | EV_PERSIST, on_acceptable, l);
	listener_arm(l, !net->held);
	return 0;
}

int
listeners_open(struct net *net, struct err *e)
{
	const struct heritage *h = &net->worker->heritage;

	net->listeners = calloc(h->n_listeners, sizeof(*net->listeners));
	if (net->listeners == NULL)
		return err_set(e, "listeners: out of memory");
	net->n_listeners = h->n_listeners;
	for (size_t i = 0; i < h->n_listeners; i++) {
		net->listeners[i].fd = -1;
		net->listeners[i].index = (uint32_t)MIN(i, (size_t)SEG_LISTENERS - 1);
	}
	for (size_t i = 0; i < h->n_listeners; i++)
		if (listener_open(&net->listeners[i], net, &h->listeners[i], e) < 0)
			return -1;
	atomic_store(&own_line(net)->accepting, !net->held);
	return 0;
}

void
listeners_hold(struct net *net, bool hold)
{
	atomic_store(&own_line(net)->accepting, !hold);
	for (size_t i = 0; hold && i < net->n_listeners; i++)
		listener_arm(&net->listeners[i], false);
}

void
listeners_close(struct net *net)
{
	atomic_store(&own_line(net)->accepting, 0);
	for (size_t i = 0; i < net->n_listeners; i++) {
		struct listener *l = &net->listeners[i];

		listener_arm(l, false);
		if (l->fd >= 0)
			close(l->fd);
		l->fd = -1;
	}
}

bool
listeners_closed(const struct net *net)
{
	for (size_t i = 0; i < net->n_listeners; i++)
		if (net->listeners[i].fd >= 0)
			return false;
	return true;
}

void
listeners_drain(struct net *net, bool last)
{
	/* Who is in the queue has been told "connected" by the kernel: closing on them
	 * would be a reset. */
	for (size_t i = 0; i < net->n_listeners; i++)
		for (int n = 0; n < 65536 && net->listeners[i].fd >= 0; n++)
			if (accept_one(&net->listeners[i]) <= 0)
				break;
	if (last)
		listeners_close(net);
}
