/* Sends what a request has to say, as its client takes it, and counts by kind what the
 * kernel accepts. SPDX-License-Identifier: MIT */
#include "common/conf.h"
#include "worker/net/account.h"
#include "worker/net/pace.h"
#include "worker/net/req_io.h"

#include <errno.h>

#define OUT_IOV 64
/* One turn's worth: a fast reader of a large answer must not hold the loop. */
#define OUT_TURN_BYTES (1024 * 1024)

static bool
is_dead(const struct req *r)
{
	return r->taken_over ||
	       atomic_load_explicit(&r->outcome, memory_order_relaxed) != REQ_OPEN;
}

void
out_collect(struct req *r)
{
	if (is_dead(r))
		outq_drop(&r->out, r->net->ops->release);
}

void
out_drop(struct req *r)
{
	outq_drop(&r->out, r->net->ops->release);
}

void
out_push_own(struct req *r, const char *bytes, size_t head_len, size_t n)
{
	/* A 100 Continue may not have left yet: it goes first. */
	const size_t rest = r->own_n - r->own_sent;
	char *all = malloc(rest + n);

	if (all == NULL)
		return; /* no answer, then: the connection just ends */
	if (rest > 0)
		memcpy(all, r->own_out + r->own_sent, rest);
	memcpy(all + rest, bytes, n);
	free(r->own_out);
	r->own_out = all;
	r->own_sent = 0;
	r->own_head = (uint32_t)(rest + head_len);
	r->own_n = (uint32_t)(rest + n);
}

static void
count(struct req *r, const uint64_t sent[OUT_KINDS])
{
	for (int k = 0; k < OUT_KINDS; k++) {
		_Atomic uint64_t *c = &r->counts.out[k];

		if (sent[k] > 0)
			atomic_store_explicit(c,
			    atomic_load_explicit(c, memory_order_relaxed) + sent[k],
			    memory_order_relaxed);
	}
}

static void
count_tls(struct conn *c, struct req *r, uint64_t plain)
{
	/* A record that is half out counts when its plain text does. */
	uint64_t wire = c->t.wire_out - c->t.wire_part - c->wire_out_seen;

	c->wire_out_seen += wire;
	if (c->t.tls != NULL && wire > plain)
		atomic_fetch_add_explicit(
		    &r->counts.out_tls, wire - plain, memory_order_relaxed);
}

void
out_count_rest(struct conn *c, struct req *r)
{
	c->t.wire_part = 0;
	count_tls(c, r, 0);
}

/* Memory at the front of the queue, up to a file or OUT_IOV pieces; returns how many. A
 * file right at the front is given in *file instead. */
static int
gather(
    const struct outq *q, struct iovec iov[OUT_IOV], struct out_seg **file, uint64_t *bytes)
{
	struct outq_cursor at = outq_begin(q);
	struct out_seg *s;
	int n = 0;

	*file = NULL;
	*bytes = 0;
	while (*bytes < ACCT_SENDS_MAX && (s = outq_next(&at)) != NULL) {
		struct iovec *last = n > 0 ? &iov[n - 1] : NULL;
		const size_t len = (size_t)MIN(s->len, ACCT_SENDS_MAX - *bytes);

		if (s->is_file) {
			if (n == 0)
				*file = s;
			return n;
		}
		if (last != NULL && (char *)last->iov_base + last->iov_len == s->p) {
			last->iov_len += len;
			*bytes += len;
			continue;
		}
		if (n == OUT_IOV)
			return n;
		iov[n++] = (struct iovec){(void *)s->p, len};
		*bytes += len;
	}
	return n;
}

/* One write of the server's own output; bytes, or -1 with errno. */
static ssize_t
write_own(struct conn *c, struct req *r)
{
	const struct iovec iov = {r->own_out + r->own_sent, r->own_n - r->own_sent};
	uint64_t sent[OUT_KINDS] = {0};
	ssize_t n;

	account_intend(r, iov.iov_len);
	n = c->t.ops->writev(&c->t, &iov, 1);
	if (n <= 0)
		return n;
	sent[OUT_HEAD] =
	    MIN((uint64_t)n, (uint64_t)(r->own_head - MIN(r->own_head, r->own_sent)));
	sent[OUT_BODY] = (uint64_t)n - sent[OUT_HEAD];
	r->own_sent += (uint32_t)n;
	count(r, sent);
	return n;
}

/* One write of the application's output; 0: there is none. */
static ssize_t
write_app(struct conn *c, struct req *r)
{
	uint64_t sent[OUT_KINDS] = {0};
	struct iovec iov[OUT_IOV];
	struct out_seg *file;
	uint64_t bytes;
	ssize_t n = gather(&r->out, iov, &file, &bytes);

	if (file != NULL) {
		bytes = MIN(file->len, (uint64_t)ACCT_SENDS_MAX);
		account_intend(r, bytes);
		n = c->t.ops->sendfile(&c->t, file->fd, &file->off, (size_t)bytes);
	} else if (n > 0) {
		account_intend(r, bytes);
		n = c->t.ops->writev(&c->t, iov, (int)n);
	}
	if (n <= 0)
		return n;
	outq_take(&r->out, (uint64_t)n, sent, r->net->ops->release);
	count(r, sent);
	return n;
}

enum out_result
out_send(struct conn *c, struct req *r)
{
	uint64_t turn = 0;

	out_collect(r);
	for (;;) {
		ssize_t n;

		if (turn >= OUT_TURN_BYTES) {
			account_sent(r);
			return OUT_YIELD; /* the write event comes back at once */
		}
		if (r->own_sent >= r->own_n && !outq_empty(&r->out) && pace_holds(c, r)) {
			account_sent(r);
			return OUT_PACED;
		}
		n = r->own_sent < r->own_n ? write_own(c, r) : write_app(c, r);
		if (n == 0)
			return OUT_DONE;
		if (n < 0) {
			account_sent(r);
			return errno == EAGAIN || errno == EWOULDBLOCK ? OUT_BLOCKED
								       : OUT_DEAD;
		}
		if (atomic_load_explicit(&r->first_out_ns, memory_order_relaxed) == 0)
			atomic_store_explicit(
			    &r->first_out_ns, net_now(r->net), memory_order_relaxed);
		count_tls(c, r, (uint64_t)n);
		turn += (uint64_t)n;
		pace_take(c, (uint64_t)n);
	}
}
