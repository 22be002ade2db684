/* Output on its way from one application thread to the I/O thread: linked batches with one
 * producer and one consumer. SPDX-License-Identifier: MIT */
#include "worker/net/outq.h"

static void
batch_init(struct out_batch *b, char *buf, size_t cap)
{
	/* Not the pieces: they are written before they are read. */
	memset(b, 0, offsetof(struct out_batch, segs));
	b->buf = buf;
	b->cap = (uint32_t)cap;
}

void
outq_init(struct outq *q)
{
	batch_init(&q->first, q->first_buf, sizeof(q->first_buf));
	q->first.embedded = true;
	q->open = q->head = &q->first;
	q->fresh = 0;
	atomic_store_explicit(&q->pending, 0, memory_order_relaxed);
}

/* ---- The producer ---- */

/* The open batch, or a new one behind it, with room for a piece and n copied bytes. */
static struct out_batch *
batch_for(struct outq *q, size_t n)
{
	struct out_batch *b = q->open, *fuller = b;
	size_t cap = MAX(n, (size_t)OUT_BATCH_BYTES);

	if (LIKELY(b->n_segs < OUT_BATCH_SEGS && b->cap - b->used >= n))
		return b;
	if (UNLIKELY(n > UINT32_MAX / 2))
		return NULL;
	b = malloc(sizeof(*b) + cap);
	if (b == NULL)
		return NULL;
	batch_init(b, (char *)(b + 1), cap);
	/* What is in the full one is handed over with it: nobody will come back to do it.
	 */
	outq_publish(q);
	atomic_store_explicit(&fuller->next, b, memory_order_release);
	q->open = b;
	return b;
}

char *
outq_room(struct outq *q, size_t n)
{
	struct out_batch *b = batch_for(q, n);

	return b == NULL ? NULL : b->buf + b->used;
}

void
outq_add(struct outq *q, enum out_kind kind, size_t n)
{
	struct out_batch *b = q->open;
	const char *p = b->buf + b->used;
	struct out_seg *last = &b->segs[b->n_segs - (b->n_segs > 0)];

	if (n == 0)
		return;
	b->used += (uint32_t)n;
	q->fresh += n;
	/* Only a piece that is still ours can grow. */
	if (b->n_segs > atomic_load_explicit(&b->ready, memory_order_relaxed) &&
	    last->kind == kind && last->owner == NULL && last->p + last->len == p) {
		last->len += n;
		return;
	}
	b->segs[b->n_segs++] =
	    (struct out_seg){.len = n, .p = p, .fd = -1, .kind = (uint8_t)kind};
}

int
outq_borrow(struct outq *q, enum out_kind kind, const char *p, size_t n, void *owner)
{
	struct out_batch *b = batch_for(q, 0);

	if (b == NULL)
		return -1;
	q->fresh += n;
	b->segs[b->n_segs++] = (struct out_seg){
	    .len = n, .p = p, .owner = owner, .fd = -1, .kind = (uint8_t)kind};
	return 0;
}

int
outq_file(struct outq *q, int fd, int64_t off, uint64_t n, void *owner)
{
	struct out_batch *b = batch_for(q, 0);

	if (b == NULL)
		return -1;
	q->fresh += n;
	b->segs[b->n_segs++] = (struct out_seg){.len = n,
	    .off = off,
	    .owner = owner,
	    .fd = fd,
	    .kind = OUT_BODY,
	    .is_file = true};
	return 0;
}

bool
outq_publish(struct outq *q)
{
	struct out_batch *b = q->open;

	if (q->fresh == 0)
		return false;
	/* Before the pieces are visible: `pending` never runs below zero. */
	atomic_fetch_add_explicit(&q->pending, q->fresh, memory_order_relaxed);
	q->fresh = 0;
	atomic_store_explicit(&b->ready, b->n_segs, memory_order_release);
	return true;
}

/* ---- The consumer ---- */

struct outq_cursor
outq_begin(const struct outq *q)
{
	return (struct outq_cursor){q->head, q->head->taken};
}

static bool
batch_has(const struct out_batch *b, uint32_t i)
{
	return i < atomic_load_explicit(&b->ready, memory_order_acquire);
}

struct out_seg *
outq_next(struct outq_cursor *c)
{
	for (;;) {
		struct out_batch *next;

		if (batch_has(c->b, c->i))
			return &c->b->segs[c->i++];
		next = atomic_load_explicit(&c->b->next, memory_order_acquire);
		if (next == NULL)
			return NULL;
		if (batch_has(c->b, c->i)) /* its last pieces came along with the link */
			continue;
		c->b = next;
		c->i = next->taken;
	}
}

/* The first piece that is not done with; frees the batches before it. */
static struct out_seg *
front(struct outq *q)
{
	struct outq_cursor c = outq_begin(q);
	struct out_seg *s = outq_next(&c);

	while (q->head != c.b) {
		struct out_batch *passed = q->head;

		q->head = atomic_load_explicit(&passed->next, memory_order_relaxed);
		if (!passed->embedded)
			free(passed);
	}
	return s;
}

static void
pop(struct outq *q, struct out_seg *s, out_release_fn *release)
{
	if (s->owner != NULL)
		release(s->owner);
	q->head->taken++;
}

void
outq_take(struct outq *q, uint64_t n, uint64_t sent[OUT_KINDS], out_release_fn *release)
{
	struct out_seg *s;

	atomic_fetch_sub_explicit(&q->pending, n, memory_order_relaxed);
	while ((s = front(q)) != NULL) {
		uint64_t took = MIN(n, s->len);

		sent[s->kind] += took;
		s->len -= took;
		n -= took;
		if (!s->is_file) /* a file's offset was moved by who sent it */
			s->p += took;
		if (s->len > 0)
			return;
		pop(q, s, release);
	}
}

void
outq_drop(struct outq *q, out_release_fn *release)
{
	struct out_seg *s;

	while ((s = front(q)) != NULL) {
		atomic_fetch_sub_explicit(&q->pending, s->len, memory_order_relaxed);
		pop(q, s, release);
	}
}

bool
outq_empty(const struct outq *q)
{
	struct outq_cursor c = outq_begin(q);

	return outq_next(&c) == NULL;
}

void
outq_finish(struct outq *q, out_release_fn *release)
{
	if (q->open->n_segs > 0)
		outq_publish(q);
	outq_drop(q, release);
	if (!q->head->embedded)
		free(q->head);
	q->head = q->open = &q->first;
}
