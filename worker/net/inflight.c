/* Requests in flight: fills and frees entries of the worker's shared segment.
 * SPDX-License-Identifier: MIT */
#include "worker/net/inflight.h"

#include "worker/net/account_key.h"
#include "worker/net/req_io.h"

void
inflight_init(struct net *net)
{
	for (uint32_t i = 0; i < SEG_INFLIGHT; i++)
		net->inflight_free[i] = (uint16_t)(SEG_INFLIGHT - 1 - i);
	net->n_inflight_free = SEG_INFLIGHT;
}

void
inflight_open(struct req *r)
{
	struct net *net = r->net;
	struct seg_inflight *f;
	struct str method = span_str(r->base, r->head.method);
	struct str path = span_str(r->base, r->head.path);

	if (net->n_inflight_free == 0)
		return;
	r->inflight = 1u + net->inflight_free[--net->n_inflight_free];
	f = &net->seg->inflight[r->inflight - 1];
	f->started_ns = r->start_ns;
	f->serial = r->serial;
	method.n = MIN(method.n, sizeof(f->method) - 1);
	memcpy(f->method, method.p, method.n);
	f->method[method.n] = '\0';
	f->peer = r->peer;
	f->target_len = (uint32_t)MIN(path.n, sizeof(f->target));
	memcpy(f->target, path.p, f->target_len);
	atomic_store_explicit(&f->state, INFLIGHT_QUEUED, memory_order_release);
}

/* The entry is r's from open to close, and only one side has the request at a time: the
 * threads never write to it together. */
void
inflight_taken(struct req *r)
{
	struct seg_inflight *f;

	if (r->inflight == 0)
		return;
	f = &r->net->seg->inflight[r->inflight - 1];
	atomic_store_explicit(&f->app_thread, r->app_thread, memory_order_relaxed);
	atomic_store_explicit(&f->state, INFLIGHT_APP, memory_order_release);
}

void
inflight_sending(struct req *r)
{
	if (r->inflight != 0)
		atomic_store_explicit(&r->net->seg->inflight[r->inflight - 1].state,
		    INFLIGHT_SENDING, memory_order_relaxed);
}

void
inflight_close(struct req *r)
{
	struct net *net = r->net;

	if (r->inflight == 0)
		return;
	atomic_store_explicit(&net->seg->inflight[r->inflight - 1].state, INFLIGHT_FREE,
	    memory_order_release);
	net->inflight_free[net->n_inflight_free++] = (uint16_t)(r->inflight - 1);
	r->inflight = 0;
}

/* The first four count what came in. */
_Static_assert(offsetof(struct req_counts, in_tls) == 3 * sizeof(uint64_t), "in_*");

static uint64_t
sum_of(const _Atomic uint64_t *counts, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += atomic_load_explicit(&counts[i], memory_order_relaxed);
	return sum;
}

static void
tell(const struct req *r, struct seg_inflight *f)
{
	const struct req_counts *c = &r->counts;
	char account[ACCT_KEY_MAX] = "";

	atomic_store_explicit(&f->bytes_in, sum_of(&c->in_head, 4), memory_order_relaxed);
	atomic_store_explicit(&f->bytes_out,
	    sum_of(c->out, OUT_KINDS) + sum_of(&c->out_tls, 1), memory_order_relaxed);
	/* The key may be the client certificate's, which went with the connection. */
	if (r->conn != NULL && r->net->accounts != NULL)
		account_key_of(r, account);
	else if (f->told == r->serial)
		return;
	if (f->told == r->serial && memcmp(f->account, account, sizeof(account)) == 0)
		return;
	/* Nobody reads half of two names. */
	atomic_store_explicit(&f->told, 0, memory_order_release);
	atomic_thread_fence(memory_order_release);
	memcpy(f->account, account, sizeof(account));
	atomic_store_explicit(&f->told, r->serial, memory_order_release);
}

void
inflight_tell(struct net *net)
{
	for (const struct req *r = net->reqs; r != NULL; r = r->next)
		if (r->inflight != 0)
			tell(r, &net->seg->inflight[r->inflight - 1]);
}
