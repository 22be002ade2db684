/* Output of a request: what application threads published, sent as the client takes it and
 * counted by kind as the kernel accepts it. SPDX-License-Identifier: MIT */
#include "common/conf.h"
#include "worker/net/req_io.h"

#include <errno.h>

#define OUT_IOV 64
/* One system call's worth: a fast reader of a large answer must not hold the loop. */
#define OUT_TURN_BYTES (1024 * 1024)

static void
seg_release(struct req *r, struct out_seg *s)
{
	if (s->owner != NULL)
		r->net->ops->release(s->owner);
	s->owner = NULL;
}

/* Gives a whole chain back unsent; returns how many bytes that were. */
static uint64_t
chain_drop(struct req *r, struct out_batch *b)
{
	uint64_t bytes = 0;

	while (b != NULL) {
		struct out_batch *next = b->next;

		for (uint32_t i = 0; i < b->n_segs; i++) {
			bytes += b->segs[i].len;
			seg_release(r, &b->segs[i]);
		}
		if (!b->pooled)
			free(b);
		b = next;
	}
	return bytes;
}

void
out_collect(struct req *r)
{
	struct out_batch *b, *first = NULL, *last;

	if (atomic_load_explicit(&r->out_published, memory_order_relaxed) == NULL)
		return;
	b = atomic_exchange_explicit(&r->out_published, NULL, memory_order_acquire);
	if (r->taken_over || r->outcome != REQ_OPEN) {
		atomic_fetch_sub_explicit(
		    &r->out_pending, chain_drop(r, b), memory_order_relaxed);
		return;
	}
	r->out_started = atomic_load_explicit(&r->answering, memory_order_relaxed);
	last = b;
	while (b != NULL) { /* newest first: turn round */
		struct out_batch *older = b->next;

		b->next = first;
		first = b;
		b = older;
	}
	if (r->out_tail != NULL)
		r->out_tail->next = first;
	else
		r->out_head = first;
	r->out_tail = last;
}

bool
out_waiting(const struct req *r)
{
	return r->out_head != NULL;
}

void
out_drop(struct req *r)
{
	struct out_batch *b;
	uint64_t bytes;

	out_collect(r);
	b = r->out_head;
	r->out_head = r->out_tail = NULL;
	bytes = chain_drop(r, b);
	atomic_fetch_sub_explicit(&r->out_pending, bytes, memory_order_relaxed);
}

void
out_push_own(struct req *r, const char *bytes, size_t head_len, size_t n)
{
	struct out_batch *b = malloc(sizeof(*b) + n);

	if (b == NULL)
		return; /* no answer, then: the connection just ends */
	*b = (struct out_batch){.n_segs = 2, .buf = (char *)(b + 1)};
	memcpy(b->buf, bytes, n);
	b->segs[0] = (struct out_seg){.kind = OUT_HEAD, .len = head_len, .p = b->buf};
	b->segs[1] =
	    (struct out_seg){.kind = OUT_BODY, .len = n - head_len, .p = b->buf + head_len};
	if (r->out_tail != NULL)
		r->out_tail->next = b;
	else
		r->out_head = b;
	r->out_tail = b;
	atomic_fetch_add_explicit(&r->out_pending, n, memory_order_relaxed);
}

static void
batch_drop_head(struct req *r)
{
	struct out_batch *b = r->out_head;

	r->out_head = b->next;
	if (r->out_head == NULL)
		r->out_tail = NULL;
	if (!b->pooled)
		free(b);
}

static void
count(struct req *r, enum out_kind kind, uint64_t n)
{
	_Atomic uint64_t *c = &r->counts.out[kind];

	atomic_store_explicit(
	    c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

/* n bytes of the queue's front were accepted. */
static void
out_consume(struct req *r, uint64_t n)
{
	atomic_fetch_sub_explicit(&r->out_pending, n, memory_order_relaxed);
	for (;;) {
		struct out_batch *b = r->out_head;

		for (uint32_t i = 0; i < b->n_segs; i++) {
			struct out_seg *s = &b->segs[i];
			uint64_t took = MIN(n, s->len);

			if (s->len == 0)
				continue;
			count(r, s->kind, took);
			n -= took;
			s->len -= took;
			s->p += took;
			if (s->len > 0)
				return;
			seg_release(r, s);
		}
		batch_drop_head(r);
		if (n == 0)
			return;
	}
}

/* Memory at the front of the queue, up to a file or OUT_IOV pieces; returns how many. A
 * file right at the front is given in *file instead. */
static int
out_gather(struct req *r, struct iovec iov[OUT_IOV], struct out_seg **file)
{
	int n = 0;

	*file = NULL;
	for (struct out_batch *b = r->out_head; b != NULL; b = b->next) {
		for (uint32_t i = 0; i < b->n_segs; i++) {
			struct out_seg *s = &b->segs[i];
			struct iovec *last = n > 0 ? &iov[n - 1] : NULL;

			if (s->len == 0)
				continue;
			if (s->is_file) {
				if (n == 0)
					*file = s;
				return n;
			}
			if (last != NULL &&
			    (char *)last->iov_base + last->iov_len == s->p) {
				last->iov_len += s->len;
				continue;
			}
			if (n == OUT_IOV)
				return n;
			iov[n++] = (struct iovec){(void *)s->p, s->len};
		}
	}
	return n;
}

static ssize_t
out_write_once(struct conn *c, struct req *r)
{
	struct iovec iov[OUT_IOV];
	struct out_seg *file;
	int n = out_gather(r, iov, &file);

	if (file != NULL) {
		ssize_t sent = c->t.ops->sendfile(&c->t, file->fd, &file->off,
		    (size_t)MIN(file->len, (uint64_t)OUT_TURN_BYTES));

		if (sent == 0) { /* the file is shorter than what was promised */
			errno = EIO;
			return -1;
		}
		return sent;
	}
	if (n == 0) /* only empty pieces are left */
		return 0;
	return c->t.ops->writev(&c->t, iov, n);
}

static void
count_tls(struct conn *c, struct req *r, uint64_t plain)
{
	uint64_t wire = c->t.wire_out - c->wire_out_seen;

	c->wire_out_seen = c->t.wire_out;
	if (c->t.tls != NULL && wire > plain)
		atomic_fetch_add_explicit(
		    &r->counts.out_tls, wire - plain, memory_order_relaxed);
}

enum out_result
out_send(struct conn *c, struct req *r)
{
	uint64_t turn = 0;

	out_collect(r);
	while (r->out_head != NULL) {
		ssize_t n;

		if (turn >= OUT_TURN_BYTES)
			return OUT_BLOCKED; /* the write event comes back at once */
		n = out_write_once(c, r);
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? OUT_BLOCKED
								       : OUT_DEAD;
		if (turn == 0 && n > 0 &&
		    atomic_load_explicit(&r->first_out_ns, memory_order_relaxed) == 0)
			atomic_store_explicit(
			    &r->first_out_ns, net_now(r->net), memory_order_relaxed);
		count_tls(c, r, (uint64_t)n);
		turn += (uint64_t)n;
		out_consume(r, (uint64_t)n);
	}
	return OUT_DONE;
}
