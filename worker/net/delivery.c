/* What the peer acknowledged of each answer: asks the kernel how much of what was sent is
 * still under way, and tells who waits for it. SPDX-License-Identifier: MIT */
#include "worker/net/delivery.h"

#include "common/conf.h"
#include "worker/logw.h"
#include "worker/net/access_log.h"
#include "worker/net/account.h"
#include "worker/net/conn.h"
#include "worker/net/listener.h"
#include "worker/net/req_io.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

/* ---- Asking the kernel ---- */

/* A UNIX socket's queue is emptied by its peer's close() as well as by its reads: after
 * that only an end without an error says that everything was read. */
static bool
unix_peer_is_gone(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0;
}

static bool
unix_all_was_read(const struct conn *c)
{
	socklen_t len = sizeof(int);
	int error = 0;

	return c->eof && !c->delivery.failed &&
	       getsockopt(c->t.fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0;
}

/* The number outlives a reset: neither the end of what was written nor the last
 * acknowledgement is touched by it. On UNIX sockets it is the memory of what was not read,
 * never less than the bytes. */
static void
measure(struct conn *c)
{
	struct delivery *d = &c->delivery;
	uint64_t open;
	int q = 0;

	if (d->acked == c->t.wire_out || ioctl(c->t.fd, SIOCOUTQ, &q) < 0 || q < 0)
		return;
	open = (uint64_t)q;
	if (c->listener->is_unix) {
		if (unix_peer_is_gone(c->t.fd)) {
			if (unix_all_was_read(c))
				d->acked = c->t.wire_out;
			return;
		}
	} else if (c->t.fin && open > 0) {
		open--; /* the FIN counts as a byte until it is acknowledged */
	}
	d->acked = MAX(d->acked, c->t.wire_out - MIN(open, c->t.wire_out));
}

/* ---- Telling who waits ---- */

/* Of an answer of so many bytes that ends at `end`. */
static uint64_t
acked_of(const struct delivery *d, uint64_t end, uint64_t len)
{
	uint64_t open = end - MIN(d->acked, end);

	return len - MIN(open, len);
}

static void
settle_req(struct req *r, uint64_t acked)
{
	atomic_store_explicit(&r->acked, acked, memory_order_relaxed);
	atomic_store_explicit(&r->settled, true, memory_order_release);
	r->settling = NULL;
	if (r->ack_awaited) {
		r->ack_awaited = false;
		r->net->ops->end(r);
	}
}

static bool
is_awaited(const struct sent_span *s)
{
	return s->line != NULL || (s->r != NULL && s->r->ack_awaited);
}

/* Of plain text: what is billed does not contain TLS. */
static void
bill(struct net *net, const struct sent_span *s, uint64_t acked)
{
	account_undelivered(net, s->row, MIN(s->len - acked, s->len - s->tls));
}

static void
settle(struct conn *c, struct sent_span *s)
{
	struct net *net = c->net;
	const uint64_t acked = acked_of(&c->delivery, s->end, s->len);

	if (s->billed)
		bill(net, s, acked);
	if (s->line != NULL) {
		logw_write(LOGW_ACCESS, net->scratch,
		    access_line_fill(
			s->line, s->line_n, acked, net->scratch, sizeof(net->scratch)));
		free(s->line);
	}
	if (s->r != NULL)
		settle_req(s->r, acked);
}

/* The number may come before the application has got round to waiting for it. Until it has
 * finished its flags are its own. */
static bool
will_be_awaited(const struct sent_span *s)
{
	return is_awaited(s) ||
	       (s->r != NULL && s->r->finished && (s->r->finish_flags & REQ_WANTS_ACK));
}

/* Only where somebody waits: for others the kernel is not asked until much later. */
static void
count_delivery(struct conn *c, const struct sent_span *s)
{
	if (s->end <= c->delivery.acked && will_be_awaited(s))
		seg_count_duration(
		    c->net->seg, DURATION_delivery, net_now(c->net) - s->start_ns);
}

static void
settle_first(struct conn *c, unsigned n)
{
	struct delivery *d = &c->delivery;

	if (n == 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		d->waits -= is_awaited(&d->spans[i]);
		count_delivery(c, &d->spans[i]);
		settle(c, &d->spans[i]);
	}
	d->n -= (uint8_t)n;
	memmove(d->spans, d->spans + n, d->n * sizeof(*d->spans));
}

static void
settle_acked(struct conn *c)
{
	const struct delivery *d = &c->delivery;
	unsigned n = 0;

	while (n < d->n && d->spans[n].end <= d->acked)
		n++;
	settle_first(c, n);
}

/* ---- The answers ---- */

/* Room for one more; false: without memory. */
static bool
reserve(struct conn *c)
{
	struct delivery *d = &c->delivery;
	unsigned cap = d->cap > 0 ? d->cap * 2u : 2;
	struct sent_span *bigger;

	if (d->n < d->cap)
		return true;
	if (d->cap == DELIVERY_SPANS) {
		measure(c);
		settle_acked(c);
		if (d->n == d->cap)
			settle_first(c, 1);
		return true;
	}
	bigger = realloc(d->spans, cap * sizeof(*bigger));
	if (bigger == NULL)
		return false;
	d->spans = bigger;
	d->cap = (uint8_t)cap;
	return true;
}

static bool
bills(const struct net *net)
{
	return net->accounts != NULL && net->conf->billing_basis[0] == 'd';
}

/* What is known of r's answer up to now; its row is held when it is billed. */
static struct sent_span
span_make(const struct conn *c, struct req *r)
{
	struct sent_span s = {
	    .end = c->wire_out_seen,
	    .len = req_wire_out(r),
	    .tls = atomic_load_explicit(&r->counts.out_tls, memory_order_relaxed),
	    .billed = bills(c->net),
	    .r = r,
	    .start_ns = r->start_ns,
	};

	if (s.billed)
		s.row = account_hold(r);
	return s;
}

/* Answers of one account nobody asks about need no span each. */
static bool
merge(struct conn *c, const struct sent_span *s)
{
	struct delivery *d = &c->delivery;
	struct sent_span *last;

	if (s->r != NULL || d->n == 0)
		return false;
	last = &d->spans[d->n - 1];
	if (last->r != NULL || last->line != NULL || last->row != s->row)
		return false;
	last->end = s->end;
	last->len += s->len;
	last->tls += s->tls;
	account_undelivered(c->net, s->row, 0);
	return true;
}

void
delivery_push(struct conn *c, struct req *r)
{
	const bool asked = r->with_app || c->net->log_acked;
	struct sent_span s;

	if (!asked && !bills(c->net))
		return;
	s = span_make(c, r);
	if (!asked)
		s.r = NULL;
	if (merge(c, &s))
		return;
	if (!reserve(c)) {
		measure(c);
		settle(c, &s);
		return;
	}
	if (asked)
		r->settling = c;
	c->delivery.spans[c->delivery.n++] = s;
}

static struct sent_span *
span_of(const struct req *r)
{
	struct delivery *d = &r->settling->delivery;
	struct sent_span *s = &d->spans[d->n - 1];

	while (s->r != r)
		s--;
	return s;
}

static void
wait_for(struct conn *c, enum timer_kind kind)
{
	timer_set(c->net->timers, &c->delivery.timer, kind, net_now(c->net));
}

void
delivery_await(struct req *r)
{
	struct conn *c = r->settling;

	if (c == NULL) {
		r->net->ops->end(r);
		return;
	}
	c->delivery.waits += !is_awaited(span_of(r));
	r->ack_awaited = true;
	wait_for(c, TIMER_ACK_SOON);
}

bool
delivery_keep_line(struct req *r, const char *line, size_t n)
{
	struct conn *c = r->settling;
	struct sent_span *s;
	char *copy;

	if (c == NULL)
		return false;
	s = span_of(r);
	copy = malloc(n);
	if (copy == NULL) {
		measure(c);
		atomic_store_explicit(&r->acked, acked_of(&c->delivery, s->end, s->len),
		    memory_order_relaxed);
		return false;
	}
	memcpy(copy, line, n);
	c->delivery.waits += !is_awaited(s);
	s->line = copy;
	s->line_n = n;
	wait_for(c, TIMER_ACK_SOON);
	return true;
}

void
delivery_forget(struct req *r)
{
	struct delivery *d;
	struct sent_span *s;

	if (r->settling == NULL)
		return;
	d = &r->settling->delivery;
	s = span_of(r);
	s->r = NULL;
	r->settling = NULL;
	if (s->line == NULL && !s->billed && s == &d->spans[d->n - 1])
		d->n--; /* nobody asks any more */
}

/* ---- When ---- */

void
delivery_look(struct conn *c)
{
	if (c->delivery.waits == 0)
		return;
	measure(c);
	settle_acked(c);
}

bool
delivery_is_open(struct conn *c)
{
	if (c->delivery.n == 0)
		return false;
	measure(c);
	settle_acked(c);
	return c->delivery.n > 0;
}

void
delivery_note(struct conn *c)
{
	if (c->listener->is_unix)
		measure(c);
}

bool
delivery_goes_on(struct conn *c)
{
	struct delivery *d = &c->delivery;
	const uint64_t then = d->acked_then;
	const bool open = delivery_is_open(c);

	d->acked_then = d->acked;
	return open && d->acked > then;
}

/* Whatever comes now cannot change the number: the connection was reset. */
static bool
is_reset(const struct conn *c)
{
	socklen_t len = sizeof(int);
	int error = 0;

	return getsockopt(c->t.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0;
}

void
delivery_timeout(struct conn *c, enum timer_kind kind)
{
	const bool deaf = c->state == CONN_LINGER && c->eof; /* nothing else will wake it */

	if (deaf && (!delivery_is_open(c) || is_reset(c))) {
		conn_close(c, REQ_SENT);
		return;
	}
	delivery_look(c);
	if (deaf || c->delivery.waits > 0)
		wait_for(c, kind == TIMER_ACK_SOON ? TIMER_ACK_LATER : TIMER_ACK_LAST);
}

void
delivery_end(struct conn *c)
{
	struct delivery *d = &c->delivery;
	struct req *r = c->req;
	bool begun = false;

	timer_clear(&d->timer);
	if (r != NULL) {
		out_count_rest(c, r);
		begun = req_wire_out(r) > 0;
	}
	if (d->n > 0 || begun)
		measure(c);
	settle_first(c, d->n);
	if (begun) {
		struct sent_span s = span_make(c, r);

		settle(c, &s);
	} else if (r != NULL) {
		settle_req(r, 0);
	}
	free(d->spans);
	d->spans = NULL;
	d->cap = 0;
}
