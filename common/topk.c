/* Space-Saving with a heap that is put right only when the least entry is needed: a request
 * of a known key costs two additions. Stores a reader must not see early are release
 * stores, as in common/acct_write.c. SPDX-License-Identifier: MIT */
#include "common/topk.h"

#include "common/siphash.h"

#include <sys/random.h>

#define KEY_WORDS (TOPK_KEY_MAX / 8)
/* Giving an entry away takes nanoseconds. */
#define READ_TRIES 100
/* No worker answers as many requests in its life, or sends as many bytes. */
#define REQUESTS_MAX (1ull << 48)
#define BYTES_MAX (1ull << 60)

static void
set(_Atomic uint64_t *at, uint64_t v)
{
	atomic_store_explicit(at, v, memory_order_release);
}

static uint64_t
get(const _Atomic uint64_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed);
}

static uint64_t
get_acquire(const _Atomic uint64_t *at)
{
	return atomic_load_explicit(at, memory_order_acquire);
}

int
topk_init(struct topk *t, struct topk_table table, struct err *e)
{
	memset(t, 0, sizeof(*t));
	t->table = table;
	/* A life nobody remembers. */
	for (uint32_t i = 0; i < TOPK_ENTRIES; i++)
		t->own[i] = (struct topk_own){
		    .entry = &table.entry[i],
		    .key = (const char *)table.key + (size_t)i * table.key_max,
		    .life = 1,
		};
	if (getrandom(t->hash_key, sizeof(t->hash_key), 0) != sizeof(t->hash_key))
		return err_errno(e, "getrandom");
	return 0;
}

/* ---- By hash: open addressing with the next free place, a quarter full at most ---- */

static uint32_t
place_of(uint64_t hash)
{
	return (uint32_t)hash % TOPK_SLOTS;
}

static uint32_t
next_slot(uint32_t i)
{
	return (i + 1) % TOPK_SLOTS;
}

static void
slot_put(struct topk *t, uint32_t at)
{
	uint32_t i = place_of(t->own[at].hash);

	while (t->slot[i] != 0)
		i = next_slot(i);
	t->slot[i] = (uint16_t)(at + 1);
}

static void
slot_drop(struct topk *t, uint32_t at)
{
	uint32_t gap = place_of(t->own[at].hash), i;

	while (t->slot[gap] != at + 1)
		gap = next_slot(gap);
	/* What follows moves up unless it is already as near to its place as can be. */
	for (i = next_slot(gap); t->slot[i] != 0; i = next_slot(i)) {
		uint32_t home = place_of(t->own[t->slot[i] - 1].hash);

		if ((i - home) % TOPK_SLOTS >= (i - gap) % TOPK_SLOTS) {
			t->slot[gap] = t->slot[i];
			gap = i;
		}
	}
	t->slot[gap] = 0;
}

/* ---- The heap: by floor, which lags behind what was counted ---- */

static uint64_t
floor_at(const struct topk *t, uint32_t i)
{
	return t->own[t->heap[i]].floor;
}

static void
swap(struct topk *t, uint32_t i, uint32_t k)
{
	uint16_t at = t->heap[i];

	t->heap[i] = t->heap[k];
	t->heap[k] = at;
}

static void
sift_down(struct topk *t)
{
	uint32_t i = 0, least;

	for (;; i = least) {
		least = i;
		for (uint32_t k = 2 * i + 1; k <= 2 * i + 2 && k < t->n; k++)
			if (floor_at(t, k) < floor_at(t, least))
				least = k;
		if (least == i)
			return;
		swap(t, i, least);
	}
}

/* As long as there are some nobody asks for the least: all floors are 0, in any order. */
static uint32_t
give_first(struct topk *t)
{
	uint32_t at = t->n++;

	t->heap[at] = (uint16_t)at;
	return at;
}

/* Each turn raises a floor to what was counted since: no more turns in all than requests.
 */
static uint32_t
find_least(struct topk *t)
{
	for (;;) {
		uint32_t at = t->heap[0];
		uint64_t requests = get(&t->own[at].entry->requests);

		if (requests <= t->own[at].floor)
			return at;
		t->own[at].floor = requests;
		sift_down(t);
	}
}

/* ---- Entries ---- */

static void
give(struct topk *t, uint32_t at, const char *key, size_t n)
{
	struct topk_entry *e = &t->table.entry[at];
	const uint32_t n_words = t->table.key_max / 8;
	_Atomic uint64_t *to = &t->table.key[(size_t)at * n_words];
	uint64_t words[KEY_WORDS] = {0}, seq = get(&e->seq) | 1;

	memcpy(words, key, n);
	set(&e->seq, seq);
	for (uint32_t i = 0; i < n_words; i++)
		set(&to[i], words[i]);
	set(&e->error, get(&e->requests));
	set(&e->bytes, 0);
	set(&e->errors, 0);
	set(&e->key_n, n);
	set(&e->seq, seq + 1);
}

struct topk_own *
topk_find(struct topk *t, const char *key, size_t n)
{
	const uint64_t hash = siphash(t->hash_key, key, n);
	struct topk_own *own;
	uint32_t at;

	for (uint32_t i = place_of(hash); t->slot[i] != 0; i = next_slot(i)) {
		own = &t->own[t->slot[i] - 1];
		if (own->hash == hash && topk_is(own, key, n))
			return own;
	}
	if (t->n < TOPK_ENTRIES) {
		at = give_first(t);
	} else {
		at = find_least(t);
		slot_drop(t, at);
	}
	own = &t->own[at];
	own->hash = hash;
	own->key_n = (uint32_t)n;
	own->life++;
	slot_put(t, at);
	give(t, at, key, n);
	return own;
}

/* ---- Readers ---- */

static void
take(const struct topk_table *t, uint32_t at, struct topk_seen *to)
{
	const struct topk_entry *e = &t->entry[at];
	const uint32_t n_words = t->key_max / 8;
	uint64_t words[KEY_WORDS];

	to->key_n = (uint32_t)MIN(get_acquire(&e->key_n), (uint64_t)t->key_max);
	for (uint32_t i = 0; i < n_words; i++)
		words[i] = get_acquire(&t->key[(size_t)at * n_words + i]);
	memcpy(to->key, words, 8 * (size_t)n_words);
	to->error = get_acquire(&e->error);
	to->bytes = MIN(get_acquire(&e->bytes), BYTES_MAX);
	to->errors = get_acquire(&e->errors);
	to->requests = MIN(get_acquire(&e->requests), REQUESTS_MAX);
	to->error = MIN(to->error, to->requests);
	to->errors = MIN(to->errors, to->requests);
}

/* false: nobody knows whose it is. */
static bool
read_entry(const struct topk_table *t, uint32_t at, struct topk_seen *to)
{
	for (int tries = 0; tries < READ_TRIES; tries++) {
		uint64_t seq = get_acquire(&t->entry[at].seq);

		if (seq & 1)
			continue;
		take(t, at, to);
		if (get(&t->entry[at].seq) == seq)
			return to->key_n > 0;
	}
	to->requests = MIN(get(&t->entry[at].requests), REQUESTS_MAX);
	return false;
}

void
topk_read(const struct topk_table *t, struct topk_list *to)
{
	uint64_t least = UINT64_MAX;

	to->requests = 0;
	to->n = 0;
	for (uint32_t at = 0; at < TOPK_ENTRIES; at++) {
		struct topk_seen *seen = &to->v[to->n];
		bool known = read_entry(t, at, seen);

		/* As long as there is a free entry no key was turned out. */
		least = MIN(least, seen->requests);
		to->requests += seen->requests;
		to->n += known && seen->requests > 0;
	}
	to->absent = least;
}
