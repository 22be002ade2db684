/* Output on its way from one application thread to the I/O thread: a queue without locks,
 * of pieces that are copied, lent, or parts of a file. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <stdatomic.h>

/* What the output bytes are, for the counts. */
enum out_kind { OUT_HEAD, OUT_BODY, OUT_FRAMING, OUT_KINDS };

struct out_seg {
	uint64_t len; /* bytes left to send */
	union {
		const char *p;
		int64_t off; /* is_file: where in fd */
	};
	void *
	    owner; /* given back when it is sent or dropped; NULL: the batch's own buffer */
	int fd;    /* is_file: borrowed from owner */
	uint8_t kind; /* enum out_kind */
	bool is_file;
};

#define OUT_BATCH_SEGS 64
#define OUT_BATCH_BYTES 8192
#define OUT_BORROW_MIN 16384 /* below it copying is cheaper than the way back of a buffer  \
			      */

/* The producer fills a batch and hands pieces over by moving `ready` on; it links the next
 * batch when this one is full, and never looks back. The consumer frees what it has passed.
 */
struct out_batch {
	_Atomic(struct out_batch *) next;
	_Atomic uint32_t ready; /* pieces handed over */
	uint32_t n_segs;        /* the producer's: pieces written */
	uint32_t used, cap;     /* the producer's: of buf */
	uint32_t taken;         /* the consumer's: pieces done with */
	bool embedded;          /* part of the queue: not to be freed */
	char *buf;
	struct out_seg segs[OUT_BATCH_SEGS];
};

struct outq {
	struct out_batch *open;   /* the producer's end */
	uint64_t fresh;           /* the producer's: bytes not handed over yet */
	_Atomic uint64_t pending; /* bytes handed over and not yet taken */
	struct out_batch *head;   /* the consumer's end */
	struct out_batch first;   /* most answers need no other */
	char first_buf[OUT_BATCH_BYTES];
};

typedef void out_release_fn(void *owner);

void outq_init(struct outq *q);
/* Neither side uses it any more. */
void outq_finish(struct outq *q, out_release_fn *release);

/* ---- The producer ---- */

/* At least n contiguous bytes to write into; NULL without memory. Valid until the next
 * call. */
char *outq_room(struct outq *q, size_t n);
/* The next n bytes of that room are a piece (or prolong the last one). */
void outq_add(struct outq *q, enum out_kind kind, size_t n);
/* p[0..n) stays valid until release(owner). -1 without memory: owner stays the caller's. */
NODISCARD int outq_borrow(
    struct outq *q, enum out_kind kind, const char *p, size_t n, void *owner);
/* n bytes of fd from off on; the file stays open until release(owner). */
NODISCARD int outq_file(struct outq *q, int fd, int64_t off, uint64_t n, void *owner);
/* Hands over what was added; false when nothing was. */
bool outq_publish(struct outq *q);

/* ---- The consumer ---- */

/* A walk over what has been handed over, without taking it. */
struct outq_cursor {
	struct out_batch *b;
	uint32_t i;
};
struct outq_cursor outq_begin(const struct outq *q);
/* NULL: no more for now. Pieces may be of length 0. */
struct out_seg *outq_next(struct outq_cursor *c);

/* n bytes at the front were sent; sent[kind] grows by them. */
void outq_take(
    struct outq *q, uint64_t n, uint64_t sent[OUT_KINDS], out_release_fn *release);
/* Everything handed over goes back unsent. */
void outq_drop(struct outq *q, out_release_fn *release);
/* True when nothing that was handed over is left. */
bool outq_empty(const struct outq *q);
