/* Merges lists of the most frequent keys. A key that a list does not have may have had as
 * many requests there as the list says of absent ones: that is `base`, and what a list has
 * of a key is kept as what goes beyond. SPDX-License-Identifier: MIT */
#include "master/top.h"

#include "common/siphash.h"

#include <sys/random.h>

#define SLOTS_PER_KEY 4

static uint64_t
add(uint64_t a, uint64_t b)
{
	return MIN(a + b, (uint64_t)INT64_MAX);
}

/* Keys are strangers' to choose. */
static uint64_t
hash_of(const char *key, size_t n)
{
	static uint64_t hash_key[2];

	if (hash_key[0] == 0 && getrandom(hash_key, sizeof(hash_key), GRND_NONBLOCK) < 0)
		hash_key[0] = (uint64_t)(uintptr_t)&hash_key;
	return siphash(hash_key, key, n);
}

static uint32_t
slots(const struct top_sum *s)
{
	return s->keep * SLOTS_PER_KEY;
}

bool
top_sum_init(struct top_sum *s, uint32_t keep)
{
	*s = (struct top_sum){.keep = keep};
	s->v = calloc(2 * (size_t)keep, sizeof(*s->v));
	s->slot = calloc((size_t)slots(s), sizeof(*s->slot));
	if (s->v != NULL && s->slot != NULL)
		return true;
	top_sum_finish(s);
	return false;
}

void
top_sum_finish(struct top_sum *s)
{
	free(s->v);
	free(s->slot);
	*s = (struct top_sum){.n = 0};
}

/* The slot of this key, or the empty one where it belongs. */
static uint16_t *
find(const struct top_sum *s, const struct top_key *k)
{
	uint32_t i = (uint32_t)k->hash % slots(s);

	for (; s->slot[i] != 0; i = (i + 1) % slots(s)) {
		const struct top_key *there = &s->v[s->slot[i] - 1];

		if (there->hash == k->hash && there->key_n == k->key_n &&
		    memcmp(there->key, k->key, k->key_n) == 0)
			break;
	}
	return &s->slot[i];
}

static int
by_requests(const void *left, const void *right)
{
	const struct top_key *l = left, *r = right;
	int order = memcmp(l->key, r->key, MIN(l->key_n, r->key_n));

	if (l->requests != r->requests)
		return l->requests < r->requests ? 1 : -1;
	return order != 0 ? order : (int)l->key_n - (int)r->key_n;
}

void
top_sum_sort(struct top_sum *s)
{
	qsort(s->v, s->n, sizeof(*s->v), by_requests);
}

/* The keys with the fewest requests go: what the first of them had any absent key may have
 * had, and the others have that much less beyond it. */
static void
prune(struct top_sum *s)
{
	uint64_t gone;

	top_sum_sort(s);
	gone = s->v[s->keep].requests;
	s->base = add(s->base, gone);
	s->n = s->keep;
	memset(s->slot, 0, slots(s) * sizeof(*s->slot));
	for (uint32_t i = 0; i < s->n; i++) {
		s->v[i].requests -= gone;
		*find(s, &s->v[i]) = (uint16_t)(i + 1);
	}
}

static void
add_key(struct top_sum *s, const struct top_key *k)
{
	uint16_t *slot;
	struct top_key *to;

	if (s->n == 2 * s->keep)
		prune(s);
	slot = find(s, k);
	if (*slot == 0) {
		s->v[s->n] = *k;
		*slot = (uint16_t)++s->n;
		return;
	}
	to = &s->v[*slot - 1];
	to->requests = add(to->requests, k->requests);
	to->sure = add(to->sure, k->sure);
	to->bytes = add(to->bytes, k->bytes);
	to->errors = add(to->errors, k->errors);
}

void
top_sum_add(struct top_sum *s, const struct topk_list *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct topk_seen *seen = &l->v[i];
		struct top_key k = {
		    .hash = hash_of(seen->key, seen->key_n),
		    .requests = seen->requests - MIN(seen->requests, l->absent),
		    .sure = seen->requests - seen->error,
		    .bytes = seen->bytes,
		    .errors = seen->errors,
		    .key_n = seen->key_n,
		};

		memcpy(k.key, seen->key, seen->key_n);
		add_key(s, &k);
	}
	s->base = add(s->base, l->absent);
	s->requests = add(s->requests, l->requests);
}

void
top_sum_join(struct top_sum *s, const struct top_sum *other)
{
	for (uint32_t i = 0; i < other->n; i++)
		add_key(s, &other->v[i]);
	s->base = add(s->base, other->base);
	s->requests = add(s->requests, other->requests);
}

void
top_sum_count(
    const struct top_sum *s, const struct top_key *k, uint64_t *requests, uint64_t *error)
{
	*requests = add(s->base, k->requests);
	*error = *requests - MIN(k->sure, *requests);
}

void
top_finish(struct top *t)
{
	for (int by = 0; by < TOPS; by++)
		top_sum_finish(&t->gone[by]);
}

void
top_fold(struct top *t, struct seg *s)
{
	static struct topk_list list;

	for (int by = 0; by < TOPS; by++) {
		struct topk_table table = seg_top(s, (enum top_by)by);
		struct top_sum *to = &t->gone[by];

		topk_read(&table, &list);
		if (to->v != NULL || top_sum_init(to, TOP_KEPT))
			top_sum_add(to, &list);
	}
}
