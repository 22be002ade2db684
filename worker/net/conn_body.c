/* A request body on its way from the socket to the application: framing, store, start.
 * SPDX-License-Identifier: MIT */
#include "worker/net/conn_body.h"

#include "common/conf.h"
#include "common/http/resp.h"
#include "common/log.h"
#include "worker/net/account.h"
#include "worker/net/body.h"
#include "worker/net/conn_count.h"
#include "worker/net/conn_in.h"
#include "worker/net/quota_gate.h"
#include "worker/net/req_io.h"

#include <stdio.h>

#define MIN_RATE_AFTER_NS 5000000000u

void
conn_count_tls_in(struct conn *c, struct req *r)
{
	atomic_fetch_add_explicit(&r->counts.in_tls, c->tls_in, memory_order_relaxed);
	c->tls_in = 0;
}

/* What came behind the current message waits in a buffer of its own. */
static void
keep_ahead(struct conn *c, const char *p, size_t n)
{
	if (n == 0)
		return;
	if (n <= NET_BUFFER) {
		c->in = net_buffer_get(c->net);
		c->in_cap = NET_BUFFER;
	} else {
		c->in = malloc(n);
		c->in_cap = (uint32_t)n;
	}
	if (c->in == NULL) {
		c->in_cap = 0;
		c->eof = true; /* without memory the connection ends after this answer */
		return;
	}
	memcpy(c->in, p, n);
	c->in_n = (uint32_t)n;
}

static void
message_complete(struct conn *c, const char *rest, size_t n)
{
	struct req *r = c->req;

	c->input_done = true;
	r->read_ns = net_now(c->net);
	c->paused = false;
	if (c->timer.kind == TIMER_BODY)
		timer_clear(&c->timer);
	atomic_store_explicit(
	    &r->counts.in_framing, c->session.framing, memory_order_relaxed);
	conn_count_tls_in(c, r);
	if (r->body != NULL)
		body_end(r->body);
	keep_ahead(c, rest, n);
}

/* in_place: p is memory of the body's own, only to be committed. False: the connection is
 * closed or refused. */
static bool
feed(struct conn *c, const char *p, size_t n, bool in_place)
{
	struct req *r = c->req;

	for (;;) {
		struct str data = {NULL, 0};
		size_t used = 0;
		struct err e;
		enum session_event ev = session_feed(&c->session, p, n, &used, &data);

		p += used;
		n -= used;
		switch (ev) {
		case SESSION_BODY:
			atomic_fetch_add_explicit(
			    &r->counts.in_body, data.n, memory_order_relaxed);
			if (in_place) {
				body_commit(r->body, data.n);
			} else if (body_append(r->body, data.p, data.n, &e) < 0) {
				log_error("http", "request body cannot be stored",
				    "reason=\"%s\"", e.text);
				conn_body_broken(c, 507, "no room for the body", false);
				return false;
			}
			break;
		case SESSION_END:
			message_complete(c, p, n);
			return true;
		case SESSION_ERROR:
			conn_body_broken(c, c->session.status, c->session.reason, true);
			return false;
		default: /* the answer, or the client's end, may come before the rest */
			atomic_store_explicit(&r->counts.in_framing, c->session.framing,
			    memory_order_relaxed);
			return true;
		}
	}
}

static bool
may_start(const struct conn *c)
{
	const struct req *r = c->req;
	const char *mode = c->net->conf->request_buffering;

	if (c->input_done || mode[0] == 'o')
		return true;
	/* The client waits for 100 Continue, which the application's first read sends. */
	if (r->head.expect_continue && body_received(r->body) == 0)
		return true;
	return mode[0] == 'm' && body_space(r->body) == 0;
}

/* What the client must be told about the connection, and the other side's default. */
static const char *
health_connection(struct req *r)
{
	if (!req_may_persist(r)) {
		r->finish_flags = REQ_CLOSE;
		return "Connection: close\r\n";
	}
	return r->head.http11 ? "" : "Connection: keep-alive\r\n";
}

static bool
is_health(const struct conn *c)
{
	const char *path = c->net->conf->health_path;

	return path != NULL &&
	       str_eq(span_str(c->req->base, c->req->head.path), str_of(path));
}

static bool
answer_health(struct conn *c)
{
	struct req *r = c->req;
	const bool ends = net_service_ends(c->net);
	struct str body = STR("ok\n");
	char answer[256], date[32];
	int n;

	if (!is_health(c))
		return false;
	if (ends)
		body = STR("draining\n");
	http_date(date, r->start_unix);
	n = snprintf(answer, sizeof(answer),
	    "HTTP/1.1 %s\r\nDate: %.29s\r\nContent-Type: text/plain\r\n%s"
	    "Content-Length: %zu\r\n\r\n%s",
	    ends ? "503 Service Unavailable" : "200 OK", date, health_connection(r), body.n,
	    body.p);
	r->status = ends ? 503 : 200;
	r->finished = true;
	/* A body behind HEAD would be read as the next answer (RFC 9112 6.3). */
	out_push_own(
	    r, answer, (size_t)n - body.n, (size_t)n - (req_is_head(r) ? body.n : 0));
	conn_flush(c);
	return true;
}

void
conn_begin_body(struct conn *c, const char *rest, size_t n)
{
	struct req *r = c->req;
	const struct conf *conf = c->net->conf;
	const bool spool = conf->request_buffering[0] == 'd';

	if (r->head.chunked || r->head.length > 0) {
		r->body =
		    body_create(MAX((size_t)conf->body_memory, n), spool, conf->body_dir);
		if (r->body == NULL) {
			conn_refuse(c, 503, "no memory for the body", REQ_REFUSED);
			return;
		}
		if (!r->head.chunked)
			body_expect(r->body, r->head.length);
	}
	if (!is_health(c) && !c->own && quota_gate_denies(r)) {
		conn_refuse(c, 429, "the quota of its account is used up", REQ_REFUSED);
		return;
	}
	c->input_done = false;
	c->paused = false;
	if (!feed(c, rest, n, false))
		return;
	if (c->input_done && answer_health(c))
		return;
	if (!c->input_done) {
		conn_time_body(c);
		conn_watch_read(c, true);
	}
	if (may_start(c))
		req_start(r);
}

static void
pause_reading(struct conn *c)
{
	c->paused = true;
	c->paused_ns = net_now(c->net);
	conn_time_body(c); /* stops: it is the application that is slow */
	conn_watch_read(c, false);
}

static ssize_t
read_once(struct conn *c, char **at, bool *in_place)
{
	struct req *r = c->req;
	size_t n = 0, space;
	char *room = NULL;

	*in_place = false;
	if (c->session.state == SESSION_IN_LENGTH)
		room = body_room(r->body, &n);
	if (room != NULL && n > 0) {
		*in_place = true;
		*at = room;
		return conn_read(c, room, (size_t)MIN((uint64_t)n, c->session.body_left));
	}
	/* Asked once: it grows under our hands while the application reads. */
	space = body_space(r->body);
	n = MIN(space, (size_t)NET_SCRATCH);
	if (n == 0) {
		pause_reading(c);
		return 0;
	}
	if (c->session.state == SESSION_IN_LENGTH)
		n = (size_t)MIN((uint64_t)n, c->session.body_left);
	*at = c->net->scratch;
	return conn_read(c, *at, n);
}

/* --body-min-rate: a client that sends something now and then never meets the pause
 * timeout, but must not hold its place for hours either. The first seconds are free. */
static bool
too_slow(struct conn *c)
{
	const uint64_t least = (uint64_t)c->net->conf->body_min_rate;
	const uint64_t took = net_now(c->net) - c->req->start_ns - c->req->body_held_ns;

	return least > 0 && took > MIN_RATE_AFTER_NS &&
	       body_received(c->req->body) < least * (took / 1000000000u);
}

bool
conn_receive_body(struct conn *c)
{
	struct req *r = c->req;
	bool in_place;
	char *at;
	ssize_t got;

	if (c->paused)
		return false;
	got = read_once(c, &at, &in_place);
	if (got > 0 && !feed(c, at, (size_t)got, in_place))
		return false;
	if (c->state != CONN_REQUEST || c->req != r || r->taken_over)
		return false;
	if (got > 0 && !c->input_done) {
		conn_time_body(c);
		if (too_slow(c)) {
			conn_body_broken(
			    c, 408, "the request body comes too slowly", false);
			return false;
		}
	}
	if (!r->with_app && !r->finished && may_start(c))
		req_start(r);
	else if (got > 0)
		req_body_news(r);
	return got > 0;
}

void
conn_body_broken(struct conn *c, int status, const char *reason, int bad_framing)
{
	struct req *r = c->req;

	conn_watch_read(c, false);
	if (c->timer.kind == TIMER_BODY)
		timer_clear(&c->timer);
	if (r->body != NULL) {
		body_break(r->body, reason, bad_framing != 0);
		req_body_news(r);
	}
	/* Nothing is parsed from here on, and the answer is the server's if it still can
	 * be: an application that overlooks the error must not turn it into a 2xx (http.md
	 * 28). */
	if (!atomic_load_explicit(&r->answering, memory_order_relaxed))
		conn_refuse(c, status, reason, status == 408 ? REQ_TIMED_OUT : REQ_REFUSED);
}

void
conn_discard_body(struct conn *c, const char *p, size_t n)
{
	for (;;) {
		struct str data = {NULL, 0};
		size_t used = 0;
		enum session_event ev = session_feed(&c->session, p, n, &used, &data);

		account_drained(c, data.n, used - data.n);
		p += used;
		n -= used;
		if (ev == SESSION_MORE)
			return;
		if (ev == SESSION_ERROR) {
			conn_linger(c);
			return;
		}
		if (ev == SESSION_END) {
			keep_ahead(c, p, n);
			conn_set_aside(c, NET_STATE_idle);
			conn_next_message(c);
			return;
		}
	}
}

void
conn_refuse_plain(struct conn *c)
{
	static const char text[] =
	    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
	    "Connection: close\r\n\r\n"
	    "This port speaks TLS: use https:// in the address.\n";
	const int fd = c->t.fd;
	ssize_t n = send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);

	log_info("tls", "plain HTTP on a TLS port", "answered=%s", n > 0 ? "400" : "no");
	c->t.ops->finish(&c->t);
	plain_init(&c->t, fd);
	conn_linger(c);
}
