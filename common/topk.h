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
	struct topk_entry *entry; /* borrowed */
	const char *key;          /* borrowed */
	uint32_t key_n;
	uint32_t life; /* one more with each key it is given to; never 0 */
	uint64_t hash;
	uint64_t floor; /* it has at least so many requests */
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
 * once. Borrowed; this key's as long as its life is the same. */
struct topk_own *topk_find(struct topk *t, const char *key, size_t n);

/* Two pieces of n bytes from either end, which may overlap. */
#define TOPK_SAME(a, b, len, n)                                                            \
	(memcmp((a), (b), (n)) == 0 &&                                                     \
	    memcmp((a) + (len) - (n), (b) + (len) - (n), (n)) == 0)

/* Whether it is the entry of this key. Keys are short, and mostly the same: to call
 * memcmp() costs more than to compare them, which is what the compiler makes of pieces. */
static inline bool
topk_is(const struct topk_own *own, const char *key, size_t n)
{
	const char *const its = own->key;
	size_t i = 0;

	if (own->key_n != n)
		return false;
	if (n > 32)
		return memcmp(its, key, n) == 0;
	if (n >= 16)
		return TOPK_SAME(its, key, n, 16);
	if (n >= 8)
		return TOPK_SAME(its, key, n, 8);
	while (i < n && its[i] == key[i])
		i++;
	return i == n;
}

static inline void
topk_grow(_Atomic uint64_t *c, uint64_t n)
{
	uint64_t v = atomic_load_explicit(c, memory_order_relaxed);

	atomic_store_explicit(c, v + n, memory_order_relaxed);
}

/* One request of this entry. */
static inline void
topk_add(const struct topk_own *own, uint64_t bytes, bool error)
{
	struct topk_entry *e = own->entry;

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
