/* What arrives on a connection: read, given to the session, and turned into requests.
 * SPDX-License-Identifier: MIT */
#include "worker/net/conn_in.h"

#include "common/conf.h"
#include "common/log.h"
#include "worker/net/body.h"
#include "worker/net/conn_body.h"
#include "worker/net/conn_count.h"
#include "worker/net/forward.h"
#include "worker/net/req_io.h"

#include <errno.h>

/* A turn's share of one connection: a fast uploader must not hold the loop. */
#define READS_PER_TURN 8

void
conn_lend_buffer(struct conn *c, struct req *r)
{
	if (r->buffer != NULL || r->base != NULL)
		return;
	r->buffer = c->in;
	r->buffer_cap = c->in_cap;
	r->base = c->in != NULL ? c->in : "";
	c->in = NULL;
	c->in_n = c->in_cap = 0;
}

void
conn_handshake(struct conn *c)
{
	int done = c->t.ops->handshake(&c->t);

	if (done == 0) {
		conn_watch_read(c, (c->t.want & WANT_READ) != 0);
		conn_watch_write(c, (c->t.want & WANT_WRITE) != 0);
		return;
	}
	conn_watch_write(c, false);
	if (done < 0) {
		const bool plain = tls_peer_spoke_http(&c->t);

		conn_count_handshake(c, false);
		conn_blame(c, plain ? NET_CLOSE_protocol : NET_CLOSE_tls);
		if (plain)
			conn_refuse_plain(c);
		else
			conn_close(c, REQ_CLIENT_GONE);
		return;
	}
	conn_count_handshake(c, true);
	/* Read anew: the last step of it takes much of a turn. */
	seg_count_duration(
	    c->net->seg, DURATION_tls, net_read_clock(c->net) - c->accepted_ns);
	conn_set_aside(c, NET_STATE_idle);
	c->wire_in_seen = c->t.wire_in;
	c->wire_out_seen = c->t.wire_out;
	c->state = CONN_IDLE;
	conn_time_first(c);
	conn_watch_read(c, true);
	conn_receive(c);
}

/* The peer ended its side. A half-close is no disconnect: what is under way is answered. */
static void
on_eof(struct conn *c)
{
	c->eof = true;
	conn_watch_read(c, false);
	switch (c->state) {
	case CONN_REQUEST:
		if (!c->input_done)
			conn_body_broken(c, 400, "the client ended inside the body", false);
		break;
	default: /* between messages, inside a head, discarding, lingering: nobody to answer
		  */
		conn_part(c);
	}
}

ssize_t
conn_read(struct conn *c, char *buf, size_t n)
{
	ssize_t got = c->t.ops->read(&c->t, buf, n);

	if (c->t.tls != NULL) {
		uint64_t wire = c->t.wire_in - c->wire_in_seen;

		c->wire_in_seen = c->t.wire_in;
		c->tls_in += (uint32_t)(wire - MIN(wire, (uint64_t)MAX(got, 0)));
	}
	if (got > 0)
		return got;
	if (got == 0) {
		on_eof(c);
		return 0;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK) {
		if (c->t.want & WANT_WRITE)
			conn_watch_write(c, true);
		return 0;
	}
	c->delivery.failed = true;
	conn_blame(c, NET_CLOSE_reset);
	conn_close(c, REQ_CLIENT_GONE);
	return 0;
}

/* Room for more of a head, or for what a client sends ahead; false: there is none. */
static bool
in_reserve(struct conn *c)
{
	char *bigger;
	size_t cap;

	if (c->in == NULL) {
		c->in = net_buffer_get(c->net);
		c->in_cap = c->in != NULL ? NET_BUFFER : 0;
		c->in_n = 0;
		return c->in != NULL;
	}
	if (c->in_n < c->in_cap)
		return true;
	if (c->state == CONN_REQUEST || c->in_cap > c->net->limits.total)
		return false;
	cap = MIN((size_t)c->in_cap * 2, (size_t)c->net->limits.total + NET_BUFFER);
	bigger = malloc(cap);
	if (bigger == NULL)
		return false;
	memcpy(bigger, c->in, c->in_n);
	net_buffer_put(c->net, c->in, c->in_cap);
	c->in = bigger;
	c->in_cap = (uint32_t)cap;
	return true;
}

static bool
receive_ahead(struct conn *c)
{
	ssize_t got;

	if (!in_reserve(c)) {
		conn_watch_read(c, false); /* the next message has to wait in the socket */
		return false;
	}
	got = conn_read(c, c->in + c->in_n, c->in_cap - c->in_n);
	if (got <= 0) {
		if (c->in != NULL &&
		    c->in_n == 0) { /* an idle connection holds no buffer */
			net_buffer_put(c->net, c->in, c->in_cap);
			c->in = NULL;
			c->in_cap = 0;
		}
		return false;
	}
	c->in_n += (uint32_t)got;
	if (c->state == CONN_IDLE || c->state == CONN_HEAD)
		conn_parse(c);
	return true;
}

static bool
receive_and_drop(struct conn *c)
{
	struct net *net = c->net;
	ssize_t got = conn_read(c, net->scratch, NET_SCRATCH);

	if (got <= 0)
		return false;
	if ((size_t)got > c->budget) {
		/* No more is read for the sake of a next request; closing at once would
		 * reset the answer away from a client that is still sending. */
		if (c->state == CONN_DISCARD)
			conn_linger(c);
		else
			conn_close(c, REQ_SENT);
		return false;
	}
	c->budget -= (uint32_t)got;
	if (c->state == CONN_DISCARD)
		conn_discard_body(c, net->scratch, (size_t)got);
	return true;
}

static bool
receive_some(struct conn *c)
{
	switch (c->state) {
	case CONN_IDLE:
	case CONN_HEAD:
		return receive_ahead(c);
	case CONN_REQUEST:
		return c->input_done ? receive_ahead(c) : conn_receive_body(c);
	case CONN_DISCARD:
	case CONN_LINGER:
		return receive_and_drop(c);
	default:
		return false;
	}
}

void
conn_receive(struct conn *c)
{
	/* Poll announces what the socket holds, not what TLS has decrypted already. A body
	 * is read several times a turn; otherwise one read usually gets all there is. */
	for (int i = 0; i < READS_PER_TURN; i++) {
		if (!receive_some(c))
			return;
		if (c->state == CONN_CLOSED || c->eof || !c->reading)
			return;
		if (!c->t.ops->pending(&c->t) &&
		    (c->state != CONN_REQUEST || c->input_done))
			return;
	}
	/* Decrypted bytes no poll will announce must not wait for the next packet. */
	if (c->t.ops->pending(&c->t))
		event_active(&c->ev_read, EV_READ, 0);
}

void
conn_resume(struct conn *c)
{
	if (c->state != CONN_REQUEST || c->input_done || c->eof)
		return;
	if (c->paused) {
		c->paused = false;
		c->req->body_held_ns += net_now(c->net) - c->paused_ns;
		conn_watch_read(c, true);
		conn_time_body(c);
		if (c->t.ops->pending(&c->t))
			event_active(&c->ev_read, EV_READ, 0);
	}
}

/* A head is complete: `used` bytes of c->in are its, what follows belongs to the body or to
 * the next message. */
static void
head_complete(struct conn *c, size_t used)
{
	struct net *net = c->net;
	struct req *r = c->req;
	size_t rest = c->in_n - used;

	r->buffer = c->in;
	r->base = c->in;
	r->buffer_cap = c->in_cap;
	c->in = NULL;
	c->in_n = c->in_cap = 0;
	c->state = CONN_REQUEST;
	timer_clear(&c->timer);
	conn_count_tls_in(c, r);
	atomic_store_explicit(&r->counts.in_head, used, memory_order_relaxed);
	r->head_whole = true;
	if (r->keepalive_seq > 0)
		stat_add(net->seg, STAT_keepalive_reuse, 1);
	if (r->head.n_dropped > 0)
		stat_add(net->seg, STAT_fields_dropped, r->head.n_dropped);
	if (net->conf->max_http_version[2] ==
	    '0') { /* 1.0 at most: what 1.1 added is off */
		r->head.http11 = false;
		r->head.keep_alive = false;
	}
	if (net->shed_every > 0 && ++net->shed_seen >= net->shed_every) {
		net->shed_seen = 0;
		r->head.keep_alive = false;
	}
	forward_apply(r);
	conn_begin_body(c, r->buffer + used, rest);
}

/* One step of the head parser; true: go round again. */
static bool
parse_one(struct conn *c)
{
	struct net *net = c->net;
	struct str unused;
	size_t used = 0;

	if (c->req == NULL) {
		c->req = req_create(c);
		if (c->req == NULL) {
			conn_close(c, REQ_CLIENT_GONE);
			return false;
		}
		session_init(&c->session, &c->req->head, &net->limits,
		    (uint64_t)net->conf->body_max);
	}
	switch (session_feed(&c->session, c->in, c->in_n, &used, &unused)) {
	case SESSION_HEAD:
		head_complete(c, used);
		return true;
	case SESSION_ERROR:
		conn_refuse(c, c->session.status, c->session.reason, REQ_REFUSED);
		return false;
	default:
		if (c->state != CONN_HEAD || c->timer.kind != TIMER_HEAD)
			timer_set(net->timers, &c->timer, TIMER_HEAD, net_now(net));
		c->state = CONN_HEAD;
		return false;
	}
}

void
conn_parse(struct conn *c)
{
	/* Answers made without the application come back here through conn_next_message():
	 * the outermost call goes on with the next message, so the stack stays flat. */
	if (c->parsing)
		return;
	c->parsing = true;
	while ((c->state == CONN_IDLE || c->state == CONN_HEAD) && c->in_n > 0)
		if (!parse_one(c))
			break;
	c->parsing = false;
	if (c->eof && (c->state == CONN_IDLE || c->state == CONN_HEAD))
		conn_part(c);
}
