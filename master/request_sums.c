/* Sums of the workers' tables of requests. SPDX-License-Identifier: MIT */
#include "master/request_sums.h"

/* A key's place, from now on; that of its listener when there is no room. */
static size_t
place_of(struct request_keys *keys, uint32_t key, const struct req_kind *kind)
{
	if (kind->method == REQ_METHOD_OTHER && kind->code == REQ_CODE_OTHER)
		return kind->listener;
	for (uint32_t i = 0; i < keys->n; i++)
		if (keys->key[i] == key)
			return REQ_TABLE_LISTENERS + i;
	if (keys->n == REQUEST_KEYS)
		return kind->listener;
	keys->key[keys->n] = key;
	return REQ_TABLE_LISTENERS + keys->n++;
}

/* A counter that shrinks, or is larger than any can be, stays at what it was. */
static void
add_growth(uint64_t *sum, uint64_t *seen, const _Atomic uint64_t *counter)
{
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);

	if (now <= *seen || now > INT64_MAX)
		return;
	*sum = MIN(*sum + (now - *seen), (uint64_t)INT64_MAX);
	*seen = now;
}

void
request_sums_look(struct request_keys *keys, struct request_seen *seen,
    const struct req_table *t, uint64_t sums[REQUEST_SUMS])
{
	for (size_t i = 0; i < REQ_TABLE_LISTENERS; i++)
		add_growth(&sums[i], &seen->other[i], &t->other[i]);
	for (size_t i = 0; i < REQ_TABLE_CELLS; i++) {
		const struct req_cell *c = &t->cell[i];

		/* Read once: whatever the worker writes there later. */
		if (seen->place[i] == 0) {
			uint32_t key = atomic_load_explicit(&c->key, memory_order_relaxed);
			struct req_kind kind;

			if (!req_key_read(key, &kind))
				continue;
			seen->place[i] = (uint16_t)(1 + place_of(keys, key, &kind));
		}
		add_growth(&sums[seen->place[i] - 1], &seen->n[i], &c->n);
	}
}

bool
request_sums_kind(const struct request_keys *keys, size_t place, struct req_kind *kind)
{
	if (place >= REQ_TABLE_LISTENERS + (size_t)keys->n)
		return false;
	if (place >= REQ_TABLE_LISTENERS)
		return req_key_read(keys->key[place - REQ_TABLE_LISTENERS], kind);
	*kind = (struct req_kind){(unsigned)place, REQ_METHOD_OTHER, REQ_CODE_OTHER};
	return true;
}

/* In the order of the places, so that they stay what they are. By name: the next binary may
 * know more. */
json_t *
request_sums_save(const struct request_keys *keys, const uint64_t sums[REQUEST_SUMS])
{
	json_t *all = json_array();
	struct req_kind kind;

	for (size_t i = 0; request_sums_kind(keys, i, &kind); i++)
		if (i >= REQ_TABLE_LISTENERS || sums[i] > 0)
			json_array_append_new(
			    all, json_pack("[i, s, i, I]", (int)kind.listener,
				     req_methods[kind.method], (int)req_codes[kind.code],
				     (json_int_t)sums[i]));
	return all;
}

static void
restore_one(struct request_keys *keys, uint64_t sums[REQUEST_SUMS], const json_t *one)
{
	json_int_t listener = json_integer_value(json_array_get(one, 0));
	const char *method = json_string_value(json_array_get(one, 1));
	json_int_t code = json_integer_value(json_array_get(one, 2));
	json_int_t n = json_integer_value(json_array_get(one, 3));
	struct req_kind kind;
	uint64_t *sum;

	if (method == NULL || n < 0 || listener < 0 || listener >= REQ_TABLE_LISTENERS)
		return;
	kind = (struct req_kind){(unsigned)listener, req_method_find(str_of(method)),
	    req_code_find((int)MIN(code, (json_int_t)999))};
	sum = &sums[place_of(keys, req_key(kind.listener, kind.method, kind.code), &kind)];
	*sum = MIN(*sum + (uint64_t)n, (uint64_t)INT64_MAX);
}

void
request_sums_restore(
    struct request_keys *keys, uint64_t sums[REQUEST_SUMS], const json_t *from)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)from, i, one) restore_one(keys, sums, one);
}
