/* Space-Saving against exact counts: on streams like those of clients, on those made to
 * hurt it, and what a reader makes of a table that nobody can have written.
 * SPDX-License-Identifier: MIT */
#include "common/topk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define KEY_MAX 32
#define KEYS 20000

static struct topk topk;
static struct topk_entry entries[TOPK_ENTRIES];
static _Atomic uint64_t keys[TOPK_ENTRIES * KEY_MAX / 8];
static const struct topk_table table = {entries, keys, KEY_MAX};
static struct topk_list list;
static uint64_t exact[KEYS], total;
static uint64_t seed;

static int
on_setup(void **state)
{
	struct err e;

	(void)state;
	memset(entries, 0, sizeof(entries));
	memset((void *)keys, 0, sizeof(keys));
	memset(exact, 0, sizeof(exact));
	total = 0;
	seed = 88172645463325252u;
	return topk_init(&topk, table, &e);
}

/* xorshift64 */
static uint64_t
pick(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static void
count(uint32_t number)
{
	char key[KEY_MAX];
	int n = snprintf(key, sizeof(key), "k%u", number);

	topk_add(topk_find(&topk, key, (size_t)n), 10, number % 2 == 1);
	exact[number]++;
	total++;
}

static const struct topk_seen *
find(uint32_t number)
{
	char key[KEY_MAX];
	uint32_t n = (uint32_t)snprintf(key, sizeof(key), "k%u", number);

	for (uint32_t i = 0; i < list.n; i++)
		if (list.v[i].key_n == n && memcmp(list.v[i].key, key, n) == 0)
			return &list.v[i];
	return NULL;
}

/* All that is promised about every key there was. */
static void
check(void)
{
	topk_read(&table, &list);
	assert_int_equal(list.requests, total);
	assert_true(list.absent <= total / TOPK_ENTRIES);
	for (uint32_t k = 0; k < KEYS; k++) {
		const struct topk_seen *seen = find(k);

		if (seen == NULL) {
			assert_true(exact[k] <= list.absent);
			continue;
		}
		assert_true(exact[k] <= seen->requests);
		assert_true(exact[k] >= seen->requests - seen->error);
		assert_true(seen->error <= total / TOPK_ENTRIES);
		assert_int_equal(seen->bytes % 10, 0);
		assert_true(seen->bytes <= 10 * exact[k]);
		assert_true(seen->bytes >= 10 * (seen->requests - seen->error));
		assert_int_equal(seen->errors, k % 2 == 1 ? seen->bytes / 10 : 0);
	}
}

static void
test_few_keys_are_exact(void **state)
{
	(void)state;
	check();
	assert_int_equal(list.n, 0);
	for (uint32_t i = 0; i < 20000; i++)
		count((uint32_t)(pick() % TOPK_ENTRIES));
	check();
	assert_int_equal(list.n, TOPK_ENTRIES);
	for (uint32_t i = 0; i < list.n; i++)
		assert_int_equal(list.v[i].error, 0);
}

/* The number k with a weight of 1/k: the larger the uniform number, the rarer. */
static void
test_zipf(void **state)
{
	static double sums[KEYS];

	(void)state;
	for (uint32_t k = 0; k < KEYS; k++)
		sums[k] = (k > 0 ? sums[k - 1] : 0) + 1.0 / (k + 1);
	for (uint32_t i = 0; i < 300000; i++) {
		double at = (double)(pick() >> 11) / 9007199254740992.0 * sums[KEYS - 1];
		uint32_t low = 0, high = KEYS - 1;

		while (low < high) {
			uint32_t middle = (low + high) / 2;

			if (sums[middle] < at)
				low = middle + 1;
			else
				high = middle;
		}
		count(low);
	}
	check();
	/* Those in front are told apart. */
	for (uint32_t k = 0; k < 50; k++)
		assert_true(find(k)->error * 10 < find(k)->requests);
}

/* One key after the other, each once: none may stay, and the heavy one must. */
static void
test_flood(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 40000; i++)
		count(i % 100 == 0 ? 0 : 1 + i % (KEYS - 1));
	check();
	assert_true(find(0)->requests - find(0)->error >= exact[0] - 1);
}

/* Each takes the entry of the one that comes next. */
static void
test_one_more_than_fit(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 50; round++)
		for (uint32_t k = 0; k <= TOPK_ENTRIES; k++)
			count(k);
	check();
	/* All the same, which a heap has to find out about each of them. */
	on_setup(NULL);
	for (uint32_t round = 0; round < 200; round++)
		for (uint32_t k = 0; k < TOPK_ENTRIES; k++)
			count(k);
	count(TOPK_ENTRIES);
	check();
	assert_int_equal(list.absent, 200);
	assert_int_equal(find(TOPK_ENTRIES)->requests, 201);
	assert_int_equal(find(TOPK_ENTRIES)->error, 200);
}

static void
test_an_entry_is_remembered(void **state)
{
	const struct str key = STR("k5");
	const struct topk_own *own = &topk.own[0];
	uint32_t life;

	(void)state;
	assert_true(own->life > 0);
	count(5);
	own = topk_find(&topk, key.p, key.n);
	life = own->life;
	assert_true(topk_is(own, key.p, key.n));
	for (uint32_t i = 0; i < 4; i++)
		for (uint32_t k = 6; k < 6 + TOPK_ENTRIES; k++)
			count(k);
	assert_int_not_equal(own->life, life);
	/* Back in the same entry it has another life. */
	for (uint32_t i = 0; i < 1000 && topk_find(&topk, key.p, key.n) != own; i++)
		count(6 + i % TOPK_ENTRIES);
	assert_int_not_equal(own->life, life);
}

/* Whatever the length, every byte counts. */
static void
test_is(void **state)
{
	char key[TOPK_KEY_MAX], other[TOPK_KEY_MAX];

	(void)state;
	memset(key, 'k', sizeof(key));
	for (uint32_t n = 0; n <= sizeof(key); n++) {
		const struct topk_own own = {.key = key, .key_n = n};

		memcpy(other, key, sizeof(key));
		assert_true(topk_is(&own, other, n));
		assert_false(topk_is(&own, other, n + 1));
		for (uint32_t i = 0; i < sizeof(other); i++) {
			other[i] ^= 1;
			assert_int_equal(topk_is(&own, other, n), i >= n);
			other[i] ^= 1;
		}
	}
}

/* Any bytes, up to the longest there is. */
static void
test_keys(void **state)
{
	char key[KEY_MAX];

	(void)state;
	memset(key, 0, sizeof(key));
	for (uint32_t n = 1; n <= KEY_MAX; n++)
		topk_add(topk_find(&topk, key, n), n, false);
	memset(key, 0xff, sizeof(key));
	topk_add(topk_find(&topk, key, KEY_MAX), 1, false);
	topk_read(&table, &list);
	assert_int_equal(list.n, KEY_MAX + 1);
	for (uint32_t i = 0; i < KEY_MAX; i++) {
		assert_int_equal(list.v[i].key_n, i + 1);
		assert_int_equal(list.v[i].bytes, i + 1);
	}
	assert_memory_equal(list.v[KEY_MAX].key, key, KEY_MAX);
}

/* A worker that was killed while it gave an entry away: the rest can be read, and no
 * request is missing from the sum. */
static void
test_cut_in_the_middle(void **state)
{
	(void)state;
	for (uint32_t k = 0; k < TOPK_ENTRIES; k++)
		for (uint32_t i = 0; i <= k; i++)
			count(k);
	entries[7].seq |= 1;
	topk_read(&table, &list);
	assert_int_equal(list.n, TOPK_ENTRIES - 1);
	assert_null(find(7));
	assert_int_equal(list.requests, total);
	assert_int_equal(list.absent, 1);
}

static void
test_hostile(void **state)
{
	static const uint8_t fill[] = {0xff, 0xfe, 0x01, 0x80, 0x7f};

	(void)state;
	for (size_t i = 0; i < sizeof(fill); i++) {
		memset((void *)entries, fill[i], sizeof(entries));
		memset((void *)keys, fill[i], sizeof(keys));
		for (uint32_t at = 0; at < TOPK_ENTRIES; at += 2)
			entries[at].seq = 2;
		topk_read(&table, &list);
		assert_true(list.n <= TOPK_ENTRIES);
		assert_true(list.absent <= list.requests);
		assert_true(list.requests <= INT64_MAX);
		for (uint32_t k = 0; k < list.n; k++) {
			assert_in_range(list.v[k].key_n, 1, KEY_MAX);
			assert_true(list.v[k].error <= list.v[k].requests);
			assert_true(list.v[k].errors <= list.v[k].requests);
			assert_true(list.v[k].bytes <= INT64_MAX);
		}
	}
	/* What is written over the table does not lead its writer astray. */
	for (uint32_t k = 0; k < 3 * TOPK_ENTRIES; k++) {
		const struct topk_own *own;

		memset((void *)entries, (int)pick(), sizeof(entries));
		memset((void *)keys, (int)pick(), sizeof(keys));
		own = topk_find(&topk, (char *)&k, sizeof(k));
		assert_in_range(own - topk.own, 0, TOPK_ENTRIES - 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_few_keys_are_exact, on_setup),
	    cmocka_unit_test_setup(test_zipf, on_setup),
	    cmocka_unit_test_setup(test_flood, on_setup),
	    cmocka_unit_test_setup(test_one_more_than_fit, on_setup),
	    cmocka_unit_test_setup(test_an_entry_is_remembered, on_setup),
	    cmocka_unit_test_setup(test_is, on_setup),
	    cmocka_unit_test_setup(test_keys, on_setup),
	    cmocka_unit_test_setup(test_cut_in_the_middle, on_setup),
	    cmocka_unit_test_setup(test_hostile, on_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
