/* One client connection: its life from accept to close, and its answers going out.
 * SPDX-License-Identifier: MIT */
#include "worker/net/conn.h"

#include "common/conf.h"
#include "common/log.h"
#include "worker/net/account.h"
#include "worker/net/conn_count.h"
#include "worker/net/conn_in.h"
#include "worker/net/listener.h"
#include "worker/net/req_io.h"

#include <errno.h>
#include <netinet/tcp.h>

#define LINGER_BYTES (1024 * 1024)
#define DISCARD_BYTES (64 * 1024)

void
conn_watch_read(struct conn *c, bool on)
{
	if (c->reading == on)
		return;
	c->reading = on;
	if (on)
		event_add(&c->ev_read, NULL);
	else
		event_del(&c->ev_read);
}

void
conn_watch_write(struct conn *c, bool on)
{
	if (c->writing == on)
		return;
	c->writing = on;
	if (on)
		event_add(&c->ev_write, NULL);
	else
		event_del(&c->ev_write);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	/* What the client has to say often answers what it was sent. */
	if (c->delivery.waits > 0)
		delivery_look(c);
	if (c->state == CONN_HANDSHAKE)
		conn_handshake(c);
	else
		conn_receive(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->state == CONN_HANDSHAKE)
		conn_handshake(c);
	else if (c->req != NULL)
		conn_flush(c);
	else
		conn_watch_write(c, false);
}

static void
socket_tune(int fd, bool is_unix)
{
	int one = 1;

	if (!is_unix)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* A client that takes slower than we write gets no more than --notsent-lowat ahead of it:
 * the rest would only fill the kernel's memory. One that keeps up never pays for the extra
 * turns that costs, so the limit is set when it first falls behind. */
static void
limit_unsent(struct conn *c)
{
	int lowat = (int)c->net->conf->notsent_lowat;

	if (c->unsent_limited || lowat == 0 || c->listener->is_unix)
		return;
	c->unsent_limited = true;
	setsockopt(c->t.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
}

static void
conn_link(struct net *net, struct conn *c)
{
	c->next = net->conns;
	if (net->conns != NULL)
		net->conns->prev = c;
	net->conns = c;
	net->n_conns++;
	conn_count_open(c);
}

static enum timer_kind
first_timer(const struct conn *c)
{
	if (c->state == CONN_HANDSHAKE)
		return TIMER_HANDSHAKE;
	if (!atomic_load_explicit(&c->net->announcing, memory_order_relaxed))
		return TIMER_HEAD;
	/* It may be speaking at this moment, but is not waited for long. */
	return c->net->idle_ns == 0 ? TIMER_DISCARD : TIMER_KEEPALIVE;
}

void
conn_time_first(struct conn *c)
{
	timer_set(c->net->timers, &c->timer, first_timer(c), net_now(c->net));
}

void
conn_accept(struct listener *l, int fd, const struct addr *peer, bool own)
{
	struct net *net = l->net;
	const bool tls = l->tls && !own;
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return;
	}
	c->net = net;
	c->listener = l;
	c->peer = *peer;
	c->own = own;
	top_begin(net, &c->top);
	if (tls) {
		if (tls_init(&c->t, fd, net->tls) < 0) {
			close(fd);
			free(c);
			return;
		}
		c->accepted_ns = net_now(net);
	} else {
		plain_init(&c->t, fd);
	}
	socket_tune(fd, l->is_unix);
	event_assign(&c->ev_read, net->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->ev_write, net->base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	conn_link(net, c);
	c->state = tls ? CONN_HANDSHAKE : CONN_IDLE;
	if (tls)
		conn_set_aside(c, NET_STATE_handshake);
	conn_time_first(c);
	conn_watch_read(c, true);
	/* Data usually came along with the connection: one wait less. */
	on_readable(fd, EV_READ, c);
}

void
conn_close(struct conn *c, int outcome)
{
	struct net *net = c->net;
	struct req *r = c->req;

	if (c->state == CONN_CLOSED)
		return;
	c->state = CONN_CLOSED;
	conn_watch_read(c, false);
	conn_watch_write(c, false);
	timer_clear(&c->timer);
	timer_clear(&c->pace.timer);
	delivery_end(c);
	if (r != NULL) {
		c->req = NULL;
		conn_lend_buffer(c, r);
		req_end(r, outcome);
	}
	c->t.ops->finish(&c->t);
	close(c->t.fd);
	net_buffer_put(net, c->in, c->in_cap);
	c->in = NULL;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		net->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	net->n_conns--;
	conn_count_close(c);
	c->next = net->doomed;
	net->doomed = c;
}

void
conns_free_doomed(struct net *net)
{
	while (net->doomed != NULL) {
		struct conn *c = net->doomed;

		net->doomed = c->next;
		free(c);
	}
}

static void
linger(struct conn *c)
{
	struct net *net = c->net;

	c->state = CONN_LINGER;
	conn_set_aside(c, NET_STATE_lingering);
	c->budget = LINGER_BYTES;
	c->delivery.acked_then = c->delivery.acked;
	net_buffer_put(net, c->in, c->in_cap);
	c->in = NULL;
	c->in_n = c->in_cap = 0;
	timer_set(net->timers, &c->timer, TIMER_LINGER, net_now(net));
	if (c->eof) /* no event will come any more */
		timer_set(net->timers, &c->delivery.timer, TIMER_ACK_SOON, net_now(net));
	conn_watch_write(c, false);
	conn_watch_read(c, !c->eof);
}

void
conn_linger(struct conn *c)
{
	conn_blame(c, c->eof ? NET_CLOSE_client : NET_CLOSE_server);
	c->t.ops->shutdown(&c->t);
	if (c->net->conf->linger_timeout == 0 || (c->eof && !delivery_is_open(c)))
		conn_close(c, REQ_SENT);
	else
		linger(c);
}

void
conn_part(struct conn *c)
{
	struct req *r = c->req;

	conn_blame(c, c->eof ? NET_CLOSE_client : NET_CLOSE_server);
	if (c->net->conf->linger_timeout == 0 || !delivery_is_open(c)) {
		conn_close(c, REQ_CLIENT_GONE);
		return;
	}
	if (r != NULL) { /* not even a head came */
		c->req = NULL;
		conn_lend_buffer(c, r);
		req_end(r, REQ_CLIENT_GONE);
	}
	/* No close_notify: an answer that was cut must not look whole. */
	transport_fin(&c->t);
	linger(c);
}

/* The answer went out before all of the request came in (http.md 30). */
static void
discard_rest(struct conn *c)
{
	struct net *net = c->net;
	bool small =
	    c->session.state == SESSION_IN_CHUNKS || c->session.body_left <= DISCARD_BYTES;

	if (c->eof || !small) {
		conn_linger(c);
		return;
	}
	c->state = CONN_DISCARD;
	conn_set_aside(c, NET_STATE_lingering);
	c->budget = DISCARD_BYTES;
	timer_set(net->timers, &c->timer, TIMER_DISCARD, net_now(net));
	conn_watch_read(c, true);
}

/* Bytes that nobody read turn a close() into a reset, which destroys the answer's tail. */
static bool
unread_input(const struct conn *c)
{
	char byte;

	return c->in_n > 0 || recv(c->t.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void
conn_end_idle(struct conn *c)
{
	if (c->eof || !unread_input(c)) {
		if (!c->eof)
			conn_blame(
			    c, c->net->announcing ? NET_CLOSE_drain : NET_CLOSE_idle);
		conn_part(c);
		return;
	}
	timer_set(c->net->timers, &c->timer, TIMER_HEAD, net_now(c->net));
	conn_watch_read(c, true);
	event_active(&c->ev_read, EV_READ, 0);
}

void
conn_next_message(struct conn *c)
{
	struct net *net = c->net;

	c->state = CONN_IDLE;
	c->input_done = false;
	conn_watch_read(c, !c->eof);
	if (c->in_n > 0) {
		conn_parse(c);
		return;
	}
	if (c->eof)
		conn_part(c);
	else if (net->draining && net->idle_ns == 0)
		conn_end_idle(c);
	else
		timer_set(net->timers, &c->timer, TIMER_KEEPALIVE, net_now(net));
}

/* Everything c->req had to say is with the kernel. */
static void
answered(struct conn *c)
{
	struct req *r = c->req;
	const unsigned flags = r->finished ? r->finish_flags : 0;
	const bool own = r->taken_over;
	/* The client promised to send no more, or the end is near: no long goodbye. */
	const bool last = !r->head.keep_alive || c->net->draining;
	const bool unread_100 = r->head.expect_continue && !r->interim_sent &&
				!atomic_load_explicit(&r->continued, memory_order_relaxed);
	const bool cut = !own && (flags & REQ_ABORT);
	const bool keep = !own && !(flags & REQ_CLOSE) && r->head.keep_alive;

	c->req = NULL;
	timer_clear(&c->timer);
	conn_watch_write(c, false);
	conn_lend_buffer(c, r);
	delivery_push(c, r);
	if (cut)
		req_end(r, REQ_APP_FAILED);
	else
		req_end(r, own ? r->own_outcome : REQ_SENT);
	if (cut) {
		conn_blame(c, NET_CLOSE_app);
		conn_part(c);
	} else if (keep && c->input_done) {
		conn_next_message(c);
	} else if (keep && !unread_100) {
		discard_rest(c);
	} else if (last && c->input_done && !own && c->t.tls == NULL && !unread_input(c)) {
		conn_part(c);
	} else {
		conn_linger(c);
	}
}

/* One timer serves a request's connection: while output is stuck it is the client's time to
 * take some, otherwise its time to send body. */
void
conn_time_body(struct conn *c)
{
	if (c->writing)
		return;
	if (c->state == CONN_REQUEST && !c->input_done && !c->paused)
		timer_set(c->net->timers, &c->timer, TIMER_BODY, net_now(c->net));
	else
		timer_clear(&c->timer);
}

static void
pull_when_low(struct req *r)
{
	const uint64_t low = (uint64_t)r->net->conf->output_high / 2;

	if (atomic_load_explicit(&r->out.pending, memory_order_relaxed) <= low)
		req_pull(r);
}

/* Mostly a client that left. ENODATA: a file of the application's is shorter now than when
 * its length was announced, so the answer cannot be completed. */
static void
on_dead_output(struct conn *c)
{
	const struct req *r = c->req;
	struct str target = span_str(r->base, r->head.path);

	if (errno != ENODATA) {
		c->delivery.failed = true;
		conn_blame(c, NET_CLOSE_reset);
		conn_close(c, REQ_CLIENT_GONE);
		return;
	}
	conn_blame(c, NET_CLOSE_app);
	log_error("app", "file became shorter while it was sent", "path=%.*s",
	    (int)MIN(target.n, (size_t)200), target.p);
	conn_close(c, REQ_APP_FAILED);
}

void
conn_flush(struct conn *c)
{
	struct req *r = c->req;
	uint64_t before = c->t.wire_out;

	switch (out_send(c, r)) {
	case OUT_DEAD:
		on_dead_output(c);
		return;
	case OUT_BLOCKED:
		limit_unsent(c);
		delivery_note(c);
		/* fall through */
	case OUT_YIELD:
		conn_watch_write(c, true);
		if (c->timer.kind != TIMER_WRITE || c->t.wire_out != before)
			timer_set(c->net->timers, &c->timer, TIMER_WRITE, net_now(c->net));
		break;
	case OUT_PACED:
		conn_watch_write(c, false);
		conn_time_body(c);
		pace_wait(c);
		break;
	case OUT_DONE:
		if (r->finished || r->taken_over) {
			answered(c);
			return;
		}
		account_sent(r);
		if (c->writing) {
			conn_watch_write(c, false);
			conn_time_body(c);
		}
		break;
	}
	pull_when_low(r);
}
