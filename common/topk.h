/* The keys most asked for of a stream without end, in fixed memory: Space-Saving (Metwally,
 * Agrawal, El Abbadi 2005). Whatever has more than 1/TOPK_ENTRIES of all requests is there.
 * One writer; the table is in shared memory, and readers believe nothing of it.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <stdatomic.h>

#define TOPK_ENTRIES 512
#define TOPK_KEY_MAX 160 /* of any table */
#define TOPK_SLOTS (4 * TOPK_ENTRIES)

/* A key that is not there takes the entry with the fewest requests, and its count: from
 * then on `error` is how many of `requests` may have been others'. */
struct topk_entry {
	_Atomic uint64_t seq;   /* odd: it is being given to another key */
	_Atomic uint64_t key_n; /* bytes; 0: nobody's */
	_Atomic uint64_t requests, error;
	_Atomic uint64_t bytes, errors; /* since it is this key's */
};

/* Where a table is; borrowed. */
struct topk_table {
	struct topk_entry *entry; /* TOPK_ENTRIES of them */
	_Atomic uint64_t *key;    /* their keys, key_max bytes each, NUL-padded */
	uint32_t key_max;         /* a multiple of 8 */
};

/* ---- The writer ---- */

/* What nobody else can change about an entry. */
struct topk_own {
	uint64_t hash;
	uint64_t floor; /* it has at least so many requests */
	uint32_t life;  /* one more with each key it is given to; never 0 */
	uint32_t key_n;
};

struct topk {
	struct topk_table table;
	uint64_t hash_key[2];
	uint32_t n; /* entries given out */
	struct topk_own own[TOPK_ENTRIES];
	uint16_t heap[TOPK_ENTRIES]; /* entries, the one with the least floor first */
	uint16_t slot[TOPK_SLOTS];   /* by hash: 1 + entry; 0: empty */
};

/* The table is all zeros. */
NODISCARD int topk_init(struct topk *t, struct topk_table table, struct err *e);
/* The entry of a key, at most the table's key_max bytes; a new one if need be. Add to it at
 * once. */
uint32_t topk_find(struct topk *t, const char *key, size_t n);

static inline const char *
topk_key(const struct topk_table *t, uint32_t at)
{
	return (const char *)t->key + (size_t)at * t->key_max;
}

/* Whether an entry found before is this key's still. */
static inline bool
topk_is(const struct topk *t, uint32_t at, uint32_t life, struct str key)
{
	const struct topk_own *own = &t->own[at];

	return own->life == life && own->key_n == key.n &&
	       memcmp(topk_key(&t->table, at), key.p, key.n) == 0;
}

static inline void
topk_grow(_Atomic uint64_t *c, uint64_t n)
{
	uint64_t v = atomic_load_explicit(c, memory_order_relaxed);

	atomic_store_explicit(c, v + n, memory_order_relaxed);
}

/* One request of this entry. */
static inline void
topk_add(struct topk *t, uint32_t at, uint64_t bytes, bool error)
{
	struct topk_entry *e = &t->table.entry[at];

	topk_grow(&e->requests, 1);
	topk_grow(&e->bytes, bytes);
	if (UNLIKELY(error))
		topk_grow(&e->errors, 1);
}

/* ---- Readers ---- */

struct topk_seen {
	uint64_t requests, error, bytes, errors; /* error <= requests */
	uint32_t key_n;                          /* 1 to key_max */
	char key[TOPK_KEY_MAX];                  /* any bytes */
};

struct topk_list {
	uint64_t requests; /* of all keys, also of those that are not there any more */
	uint64_t absent;   /* a key that is not there has at most so many */
	uint32_t n;
	struct topk_seen v[TOPK_ENTRIES];
};

/* What a table holds, also while it is written, and of a writer that died in the middle. */
void topk_read(const struct topk_table *t, struct topk_list *to);
