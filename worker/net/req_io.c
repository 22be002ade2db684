/* The I/O thread's half of a request: from its first byte to the one place where it ends.
 * SPDX-License-Identifier: MIT */
#include "worker/net/req_io.h"

#include "common/conf.h"
#include "common/http/resp.h"
#include "common/log.h"
#include "worker/logw.h"
#include "worker/net/access_log.h"
#include "worker/net/account.h"
#include "worker/net/body.h"
#include "worker/net/delivery.h"
#include "worker/net/inflight.h"
#include "worker/net/listener.h"
#include "worker/net/routes.h"
#include "worker/net/tally.h"
#include "worker/net/top.h"

#include <stdio.h>

static void
req_reset(struct req *r)
{
	/* Not the big arrays: head.fields and the pieces of the output are written before
	 * read. */
	memset((char *)r + offsetof(struct req, base), 0,
	    offsetof(struct req, out) - offsetof(struct req, base));
	outq_init(&r->out);
}

struct req *
req_create(struct conn *c)
{
	struct net *net = c->net;
	struct req *r = net->free_reqs;

	if (r != NULL) {
		net->free_reqs = *(void **)r;
		net->n_free_reqs--;
	} else if ((r = malloc(sizeof(*r))) == NULL) {
		return NULL;
	}
	req_reset(r);
	r->net = net;
	r->conn = c;
	r->listener = c->listener;
	r->peer = c->peer;
	r->tls = c->t.tls != NULL;
	r->https = c->listener->tls; /* a self-check is plain everywhere */
	r->conn_fd = c->t.fd;
	r->keepalive_seq = c->served++;
	r->start_ns = net_now(net);
	r->start_unix = net_wall_us(net, r->start_ns) / 1000000;
	r->serial = ++net->serial;
	r->next = net->reqs;
	if (net->reqs != NULL)
		net->reqs->prev = r;
	net->reqs = r;
	net->n_reqs++;
	return r;
}

unsigned
req_phase(const struct req *r)
{
	if (r->finished || r->taken_over || r->pull_wanted)
		return NET_PHASE_write;
	if (!r->app_started)
		return NET_PHASE_read;
	return atomic_load_explicit(&r->taken, memory_order_relaxed) ? NET_PHASE_app
								     : NET_PHASE_queue;
}

uint64_t
req_wire_out(const struct req *r)
{
	const struct req_counts *n = &r->counts;
	uint64_t sum = atomic_load_explicit(&n->out_tls, memory_order_relaxed);

	for (int k = 0; k < OUT_KINDS; k++)
		sum += atomic_load_explicit(&n->out[k], memory_order_relaxed);
	return sum;
}

static void
req_unlink(struct req *r)
{
	struct net *net = r->net;

	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		net->reqs = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	net->n_reqs--;
	timer_clear(&r->timer);
}

static void
req_free(struct req *r)
{
	struct net *net = r->net;

	delivery_forget(r);
	account_forget(r);
	outq_finish(&r->out, net->ops->release);
	free(r->own_out);
	body_destroy(r->body);
	net_buffer_put(net, r->buffer, r->buffer_cap);
	if (net->n_free_reqs >= NET_POOL) {
		free(r);
		return;
	}
	*(void **)r = net->free_reqs;
	net->free_reqs = r;
	net->n_free_reqs++;
}

void
req_pool_free(struct net *net)
{
	while (net->free_reqs != NULL) {
		void *r = net->free_reqs;

		net->free_reqs = *(void **)r;
		free(r);
	}
}

static void
count_durations(const struct req *r)
{
	struct seg *seg = r->net->seg;
	const uint64_t first = atomic_load_explicit(&r->first_out_ns, memory_order_relaxed);
	const uint64_t end = atomic_load_explicit(&r->end_ns, memory_order_relaxed);
	const uint64_t took = end - r->start_ns;
	struct seg_place at = seg_find_place(took);

	seg_count_at(seg, DURATION_request, at, took);
	if (first != 0) {
		/* The first byte of most answers goes along with the last. */
		if (first != end)
			at = seg_find_place(first - r->start_ns);
		seg_count_at(seg, DURATION_ttfb, at, first - r->start_ns);
	}
	if (r->read_ns != 0)
		seg_count_duration(seg, DURATION_read, r->read_ns - r->start_ns);
	if (!r->app_started)
		return;
	seg_count_duration(seg, DURATION_app, r->app_ns);
	if (atomic_load_explicit(&r->taken, memory_order_relaxed))
		seg_count_duration(seg, DURATION_queue, r->queue_ns);
}

static void
count_sizes(struct seg *seg, const struct req_counts *n)
{
	seg_count_size(seg, SIZE_request, n->in_head + n->in_body + n->in_framing);
	seg_count_size(
	    seg, SIZE_response, n->out[OUT_HEAD] + n->out[OUT_BODY] + n->out[OUT_FRAMING]);
}

static void
count_response(struct req *r)
{
	static const enum stat_id by_class[] = {[1] = STAT_responses_1xx,
	    [2] = STAT_responses_2xx,
	    [3] = STAT_responses_3xx,
	    [4] = STAT_responses_4xx,
	    [5] = STAT_responses_5xx};
	struct seg *seg = r->net->seg;
	const struct req_counts *n = &r->counts;

	stat_add(seg, STAT_requests, 1);
	count_durations(r);
	count_sizes(seg, n);
	routes_count(r);
	tally_count(r);
	if (r->status >= 100 && r->status < 600) {
		stat_add(seg, by_class[r->status / 100], 1);
		seg_count_code(seg, r->status);
	}
	if (r->outcome != REQ_SENT && r->outcome != REQ_REFUSED)
		stat_add(seg, STAT_aborted, 1);
	stat_add(seg, STAT_in_head, n->in_head);
	stat_add(seg, STAT_in_body, n->in_body);
	stat_add(seg, STAT_in_framing, n->in_framing);
	stat_add(seg, STAT_in_tls, n->in_tls);
	stat_add(seg, STAT_out_head, n->out[OUT_HEAD]);
	stat_add(seg, STAT_out_body, n->out[OUT_BODY]);
	stat_add(seg, STAT_out_framing, n->out[OUT_FRAMING]);
	stat_add(seg, STAT_out_tls, n->out_tls);
}

static void
log_access(struct req *r)
{
	struct net *net = r->net;
	size_t n;

	if (net->access == NULL)
		return;
	n = access_format_record(net->access, r, net_wall_us(net, r->end_ns), net->scratch,
	    sizeof(net->scratch));
	if (!net->log_acked || r->settled) {
		logw_write(LOGW_ACCESS, net->scratch, n);
		return;
	}
	if (delivery_keep_line(r, net->scratch, n))
		return;
	r->settled = true;
	log_access(r);
}

/* Counted and logged. */
static void
req_record(struct req *r)
{
	req_unlink(r);
	r->recorded = true;
	if (r->taken_over)
		r->status = r->own_status;
	/* nginx's number for a client that left before there was an answer. */
	if (r->status == 0 && r->head_whole)
		r->status = 499;
	if (r->status == 0) /* not even a head came: no request */
		return;
	account_end(r);
	count_response(r);
	log_access(r);
	inflight_close(r);
}

/* Both sides are finished with it. */
static void
req_finalise(struct req *r)
{
	if (!r->recorded)
		req_record(r);
	req_free(r);
}

void
req_start(struct req *r)
{
	struct net *net = r->net;

	r->with_app = true;
	r->app_started = true;
	r->ready_ns = net_now(net);
	net->with_app++;
	net->started_some = true;
	stat_add(net->seg, STAT_app_started, 1);
	inflight_open(r);
	timer_set(net->timers, &r->timer, TIMER_APP, net_now(net));
	net->ops->start(r);
}

void
req_pull(struct req *r)
{
	if (!r->pull_wanted)
		return;
	r->pull_wanted = false;
	r->net->parked--;
	req_time_app(r);
	r->net->ops->pull(r);
}

void
req_abort(struct req *r, const char *why)
{
	atomic_store(&r->aborted, true);
	if (!r->with_app || r->finished)
		return;
	if (r->body != NULL) {
		body_break(r->body, why, false);
		req_body_news(r);
	}
	req_pull(r);
}

void
req_end(struct req *r, enum req_outcome outcome)
{
	struct net *net = r->net;

	if (r->outcome != REQ_OPEN)
		return;
	atomic_store_explicit(&r->end_ns, net_now(net), memory_order_relaxed);
	atomic_store(&r->outcome, (int)outcome);
	/* One that is answered for its timeout was cut before the answer. */
	if (outcome == REQ_APP_FAILED)
		r->cut_in = 1 + NET_PHASE_app;
	else if (outcome != REQ_SENT && (r->cut_in == 0 || outcome != REQ_TIMED_OUT))
		r->cut_in = (uint8_t)(1 + req_phase(r));
	account_end(r);
	top_count(r);
	req_hide_socket(r);
	r->conn = NULL;
	out_drop(r);
	if (r->with_app)
		net->left++;
	if (!r->with_app) {
		req_finalise(r);
	} else if (!r->finished) {
		req_abort(r, "the client is gone");
	} else if (!r->end_called) { /* hooks are waiting for this moment */
		r->end_called = true;
		net->ops->end(r);
	}
}

bool
req_is_head(const struct req *r)
{
	return r->base != NULL && str_eq(span_str(r->base, r->head.method), STR("HEAD"));
}

/* Before the empty line that ends the head. Returns the new length of all. */
static size_t
tell_retry(char *answer, size_t cap, size_t *head_len, size_t n, uint32_t seconds)
{
	char line[40];
	size_t len = (size_t)snprintf(line, sizeof(line), "Retry-After: %u\r\n", seconds);
	size_t at = *head_len - 2;

	if (*head_len < 2 || n + len > cap)
		return n;
	memmove(answer + at + len, answer + at, n - at);
	memcpy(answer + at, line, len);
	*head_len += len;
	return n + len;
}

void
req_answer(struct req *r, int status, enum req_outcome outcome)
{
	struct net *net = r->net;
	char answer[1024], date[32];
	size_t head_len = 0, n;

	out_drop(r);
	r->taken_over = true;
	r->own_outcome = (uint8_t)outcome;
	r->own_status = status;
	http_date(date, net_wall_us(net, net_now(net)) / 1000000);
	n = resp_canned(answer, sizeof(answer), status, (struct str){date, 29},
	    net->conf->server_header ? STR("shoal") : STR(""), req_is_head(r), &head_len);
	if (r->retry_after > 0)
		n = tell_retry(answer, sizeof(answer), &head_len, n, r->retry_after);
	out_push_own(r, answer, head_len, n);
}

/* The interim answer to `Expect: 100-continue`, on the first wish to read (http.md 31). */
static void
send_continue(struct req *r)
{
	static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (r->interim_sent || !r->head.expect_continue || r->taken_over ||
	    atomic_load_explicit(&r->answering, memory_order_relaxed) ||
	    atomic_load_explicit(&r->continued, memory_order_relaxed) ||
	    (r->body != NULL && body_received(r->body) > 0))
		return;
	r->interim_sent = true;
	out_push_own(r, line, sizeof(line) - 1, sizeof(line) - 1);
	stat_add(r->net->seg, STAT_responses_1xx, 1);
	seg_count_code(r->net->seg, 100);
}

void
req_body_news(struct req *r)
{
	if (!r->reader_waits)
		return;
	if (body_ready(r->body) > 0 || body_complete(r->body) ||
	    body_error(r->body, NULL) != NULL) {
		r->reader_waits = false;
		req_time_app(r);
		r->net->ops->body(r);
	}
}

static void
on_finish(struct req *r)
{
	struct net *net = r->net;

	r->finished = true;
	inflight_sending(r);
	timer_clear(&r->timer);
	net->with_app--;
	if (r->pull_wanted) {
		r->pull_wanted = false;
		net->parked--;
	}
	if ((r->finish_flags & REQ_NEEDS_END) && r->outcome != REQ_OPEN && !r->end_called) {
		r->end_called = true;
		net->ops->end(r);
	}
}

static void
on_want_body(struct req *r)
{
	if (r->body == NULL || r->finished)
		return;
	r->reader_waits = true;
	send_continue(r);
	req_body_news(r);
}

static void
on_want_pull(struct req *r)
{
	if (r->finished || r->pull_wanted)
		return;
	if (r->taken_over || r->outcome != REQ_OPEN) {
		r->net->ops->pull(r);
		return;
	}
	r->pull_wanted = true;
	r->net->parked++;
}

static void
on_signals(struct req *r, uint32_t bits)
{
	if (bits & SIG_FINISH)
		on_finish(r);
	if (bits & (SIG_OUT | SIG_FINISH))
		out_collect(r);
	if (bits & SIG_WANT_BODY)
		on_want_body(r);
	if (bits & SIG_WANT_PULL)
		on_want_pull(r);
	if (bits & SIG_AWAIT) {
		r->with_app = false;
		r->net->left--;
		req_record(r);
		delivery_await(r);
		return;
	}
	if (r->recorded) { /* only its last hooks were left */
		if (bits & SIG_DONE)
			req_free(r);
		return;
	}
	if (bits & SIG_DONE) {
		r->with_app = false;
		if (r->outcome != REQ_OPEN) {
			r->net->left--;
			req_finalise(r);
			return;
		}
	}
	req_time_app(r);
	if (r->conn == NULL)
		return;
	if (bits & (SIG_WANT_BODY | SIG_BODY_ROOM))
		conn_resume(r->conn);
	if (r->conn != NULL)
		conn_flush(r->conn);
}

bool
req_drain_signals(struct net *net)
{
	struct req *r, *first = NULL;

	if (atomic_load_explicit(&net->signalled, memory_order_relaxed) == NULL)
		return false;
	r = atomic_exchange(&net->signalled, NULL);
	atomic_store_explicit(&net->deferred, 0, memory_order_relaxed);
	while (r != NULL) { /* newest first: turn round, so that nobody is overtaken */
		struct req *older = r->sig_next;

		r->sig_next = first;
		first = r;
		r = older;
	}
	while (first != NULL) {
		struct req *next = first->sig_next;

		on_signals(first, atomic_exchange(&first->signals, 0));
		first = next;
	}
	return true;
}
