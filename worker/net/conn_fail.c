/* A client that breaks the rules, or is late: what it is answered, and how that is counted.
 * SPDX-License-Identifier: MIT */
#include "common/log.h"
#include "worker/net/conn_body.h"
#include "worker/net/conn_count.h"
#include "worker/net/conn_in.h"
#include "worker/net/req_io.h"

static enum net_reject
reject_of(const struct req *r, int status)
{
	switch (status) {
	case 408:
		return NET_REJECT_timeout;
	case 413:
	case 414:
	case 431:
		return NET_REJECT_too_large;
	case 429:
		return NET_REJECT_quota;
	case 503:
	case 507:
		return NET_REJECT_overload;
	default:
		return r->head.bad_host ? NET_REJECT_bad_host : NET_REJECT_parse;
	}
}

static void
count_reject(struct conn *c, int status)
{
	enum net_reject why;

	/* Its application had it and did not answer: it counts as aborted. */
	if (status == 504)
		return;
	why = reject_of(c->req, status);
	seg_count_net(c->net->seg, NET_COUNT_REJECTED + why);
	if (why == NET_REJECT_timeout)
		conn_blame(c, NET_CLOSE_timeout);
	else if (!c->eof && (why == NET_REJECT_parse || why == NET_REJECT_bad_host))
		conn_blame(c, NET_CLOSE_protocol);
}

void
conn_refuse(struct conn *c, int status, const char *reason, int outcome)
{
	struct req *r = c->req;
	char peer[ADDR_TEXT_MAX];

	if (!r->head_whole) { /* received, whatever it was */
		conn_count_tls_in(c, r);
		atomic_store_explicit(&r->counts.in_head, c->in_n, memory_order_relaxed);
	}
	conn_lend_buffer(c, r);
	addr_text(&c->peer, peer);
	log_info("http", "request refused", "status=%d reason=\"%s\" peer=%s", status,
	    reason, peer);
	if (outcome == REQ_REFUSED)
		stat_add(c->net->seg, STAT_rejected, 1);
	count_reject(c, status);
	r->cut_in = (uint8_t)(1 + (status == 408 ? NET_PHASE_read : req_phase(r)));
	c->state = CONN_REQUEST;
	timer_clear(&c->timer);
	conn_watch_read(c, false); /* nothing more is parsed; conn_linger() reads on */
	if (atomic_load_explicit(
		&r->answering, memory_order_relaxed)) { /* too late for another answer */
		conn_close(c, outcome);
		return;
	}
	req_answer(r, status, outcome);
	req_abort(r, reason);
	conn_flush(c);
}

void
conn_timeout(struct conn *c, enum timer_kind kind)
{
	if (kind == TIMER_LINGER && delivery_goes_on(c)) {
		timer_set(c->net->timers, &c->timer, TIMER_LINGER, net_now(c->net));
		return;
	}
	stat_add(c->net->seg, STAT_timeouts, 1);
	switch (kind) {
	case TIMER_HEAD:
		conn_blame(c, NET_CLOSE_timeout);
		if (c->req == NULL)
			conn_close(c, REQ_TIMED_OUT); /* not one byte: nothing to answer */
		else
			conn_refuse(
			    c, 408, "the request head took too long", REQ_TIMED_OUT);
		break;
	case TIMER_BODY:
		conn_body_broken(c, 408, "the request body took too long", false);
		break;
	case TIMER_DISCARD:
		/* The rest of a body did not come in time; its answer may still be under
		 * way. */
		if (c->state == CONN_DISCARD) {
			conn_linger(c);
			return;
		}
		conn_end_idle(c);
		break;
	case TIMER_KEEPALIVE:
		conn_end_idle(c);
		break;
	default: /* handshake, write, linger: silent (http.md 34) */
		if (kind == TIMER_HANDSHAKE)
			conn_count_handshake(c, false);
		if (c->req != NULL)
			c->req->cut_in = 1 + NET_PHASE_write;
		conn_blame(c, NET_CLOSE_timeout);
		conn_close(c, REQ_TIMED_OUT);
	}
}
