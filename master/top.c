/* Merges lists of the most frequent keys. A key that a list does not have may have had as
 * many requests there as the list says of absent ones: that is `base`, and what a list has
 * of a key is kept as what goes beyond. SPDX-License-Identifier: MIT */
#include "master/top.h"

#include "common/siphash.h"

#include <stdio.h>
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

/* ---- For the next binary ---- */

/* A key may be any bytes. */
static json_t *
key_to_json(const struct top_key *k)
{
	char hex[2 * TOPK_KEY_MAX + 1] = "";

	for (uint32_t i = 0; i < k->key_n; i++)
		snprintf(hex + 2 * (size_t)i, 3, "%02x", (uint8_t)k->key[i]);
	return json_pack("[s, I, I, I, I]", hex, (json_int_t)k->requests,
	    (json_int_t)k->sure, (json_int_t)k->bytes, (json_int_t)k->errors);
}

json_t *
top_save(const struct top *t)
{
	json_t *all = json_array();

	for (int by = 0; by < TOPS; by++) {
		const struct top_sum *s = &t->gone[by];
		json_t *keys = json_array();

		for (uint32_t i = 0; i < s->n; i++)
			json_array_append_new(keys, key_to_json(&s->v[i]));
		json_array_append_new(
		    all, json_pack("{s:I, s:I, s:o}", "requests", (json_int_t)s->requests,
			     "base", (json_int_t)s->base, "keys", keys));
	}
	return all;
}

static uint64_t
read_number(const json_t *v)
{
	return (uint64_t)MAX(json_integer_value(v), 0);
}

static void
restore_key(struct top_sum *s, const json_t *from)
{
	const char *hex = json_string_value(json_array_get(from, 0));
	struct top_key k = {
	    .requests = read_number(json_array_get(from, 1)),
	    .sure = read_number(json_array_get(from, 2)),
	    .bytes = read_number(json_array_get(from, 3)),
	    .errors = read_number(json_array_get(from, 4)),
	};
	unsigned byte;

	if (hex == NULL || strlen(hex) % 2 != 0)
		return;
	for (; k.key_n < TOPK_KEY_MAX && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		k.key[k.key_n++] = (char)byte;
	k.hash = hash_of(k.key, k.key_n);
	if (k.key_n > 0 && *hex == '\0')
		add_key(s, &k);
}

void
top_restore(struct top *t, const json_t *from)
{
	for (size_t by = 0; by < TOPS; by++) {
		const json_t *one = json_array_get(from, by);
		const json_t *keys = json_object_get(one, "keys");
		struct top_sum *s = &t->gone[by];

		if (one == NULL || (s->v == NULL && !top_sum_init(s, TOP_KEPT)))
			continue;
		for (size_t i = 0; i < json_array_size(keys); i++)
			restore_key(s, json_array_get(keys, i));
		s->requests = read_number(json_object_get(one, "requests"));
		s->base = add(s->base, read_number(json_object_get(one, "base")));
	}
}
