/* Lists of several workers in one: bounds that stay true, however many workers there were,
 * and whatever they say. SPDX-License-Identifier: MIT */
#include "master/top.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define KEYS 6000

static struct top top;
static uint64_t exact[KEYS], total;

static int
on_setup(void **state)
{
	(void)state;
	memset(exact, 0, sizeof(exact));
	total = 0;
	return 0;
}

static int
on_teardown(void **state)
{
	(void)state;
	top_finish(&top);
	return 0;
}

static struct seg *
make_seg(struct topk *t)
{
	struct err e;
	int fd;
	struct seg *s = seg_create(0, 1, 1, &fd, &e);

	assert_non_null(s);
	close(fd);
	assert_int_equal(topk_init(t, seg_top(s, TOP_HOST), &e), 0);
	return s;
}

static void
count(struct topk *t, uint32_t number)
{
	char key[16];
	int n = snprintf(key, sizeof(key), "h%u", number);

	topk_add(topk_find(t, key, (size_t)n), 7, false);
	exact[number]++;
	total++;
}

static const struct top_key *
find(const struct top_sum *s, uint32_t number)
{
	char key[16];
	uint32_t n = (uint32_t)snprintf(key, sizeof(key), "h%u", number);

	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].key_n == n && memcmp(s->v[i].key, key, n) == 0)
			return &s->v[i];
	return NULL;
}

static void
check(const struct top_sum *s)
{
	assert_int_equal(s->requests, total);
	/* Of 1/512 of the requests in the tables, and of what was left out here. */
	assert_true(s->base <= total / TOPK_ENTRIES + total / s->keep);
	for (uint32_t k = 0; k < KEYS; k++) {
		const struct top_key *key = find(s, k);
		uint64_t requests, error;

		if (key == NULL) {
			assert_true(exact[k] <= s->base);
			continue;
		}
		top_sum_count(s, key, &requests, &error);
		assert_true(exact[k] <= requests);
		assert_true(exact[k] >= requests - error);
		assert_true(key->bytes <= 7 * exact[k]);
	}
}

/* Few keys: nothing is estimated, also of workers that are gone. */
static void
test_exact(void **state)
{
	static struct topk t[3];
	struct seg *s[3];

	(void)state;
	for (uint32_t w = 0; w < 3; w++) {
		s[w] = make_seg(&t[w]);
		for (uint32_t i = 0; i < 600; i++)
			count(&t[w], i % (10 * (w + 1)));
		top_fold(&top, s[w]);
		seg_close(s[w]);
	}
	check(&top.gone[TOP_HOST]);
	assert_int_equal(top.gone[TOP_HOST].n, 30);
	assert_int_equal(top.gone[TOP_HOST].base, 0);
	assert_int_equal(top.gone[TOP_CLIENT].n, 0);
	assert_int_equal(top.gone[TOP_AGENT].requests, 0);
}

/* Some keys of each worker are everybody's, most are its own. */
static void
test_many_workers(void **state)
{
	static struct topk t;
	struct top_sum all;

	(void)state;
	for (uint32_t w = 0; w < 40; w++) {
		struct seg *s = make_seg(&t);

		for (uint32_t i = 0; i < 3000; i++)
			count(&t, i % 3 == 0 ? i % 20 : (w * 131 + i * i) % KEYS);
		top_fold(&top, s);
		seg_close(s);
		check(&top.gone[TOP_HOST]);
	}
	assert_true(top.gone[TOP_HOST].n <= 2 * TOP_KEPT);
	for (uint32_t k = 0; k < 20; k++)
		if (exact[k] > total / 200)
			assert_non_null(find(&top.gone[TOP_HOST], k));
	assert_true(top_sum_init(&all, TOP_MERGED));
	top_sum_join(&all, &top.gone[TOP_HOST]);
	top_sum_sort(&all);
	for (uint32_t i = 1; i < all.n; i++)
		assert_true(all.v[i - 1].requests >= all.v[i].requests);
	assert_int_equal(all.requests, total);
	assert_int_equal(all.base, top.gone[TOP_HOST].base);
	assert_int_equal(all.n, top.gone[TOP_HOST].n);
	top_sum_finish(&all);
}

static void
test_hostile(void **state)
{
	static struct topk t;
	struct top_sum *gone = &top.gone[TOP_HOST];
	uint64_t requests, error;

	(void)state;
	for (uint32_t w = 0; w < 300; w++) {
		struct seg *s = make_seg(&t);

		memset(&s->tops, w % 2 ? 0xff : 0x7e, sizeof(s->tops));
		for (uint32_t at = 0; at < TOPK_ENTRIES; at++)
			s->tops.entry[TOP_HOST][at].seq = w % 3 ? 2 : 3;
		top_fold(&top, s);
		seg_close(s);
	}
	assert_true(gone->requests <= INT64_MAX && gone->base <= INT64_MAX);
	for (uint32_t i = 0; i < gone->n; i++) {
		top_sum_count(gone, &gone->v[i], &requests, &error);
		assert_true(error <= requests && requests <= INT64_MAX);
		assert_true(gone->v[i].bytes <= INT64_MAX && gone->v[i].key_n <= 96);
	}
}

static void
test_an_upgrade_forgets_nothing(void **state)
{
	static struct topk t;
	static struct top next;
	struct top_sum *was = &top.gone[TOP_HOST], *is = &next.gone[TOP_HOST];
	struct seg *s = make_seg(&t);
	json_t *saved;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++)
		count(&t, i % 5 == 0 ? 1 : i % KEYS);
	topk_add(topk_find(&t, "\0\xff \"", 4), 3, true);
	total++;
	top_fold(&top, s);
	saved = top_save(&top);
	top_restore(&next, saved);
	json_decref(saved);
	check(is);
	assert_int_equal(is->n, was->n);
	assert_int_equal(is->base, was->base);
	top_sum_sort(was);
	top_sum_sort(is);
	for (uint32_t i = 0; i < was->n; i++) {
		was->v[i].hash = is->v[i].hash;
		assert_memory_equal(&is->v[i], &was->v[i], sizeof(is->v[i]));
	}
	seg_close(s);
	top_finish(&next);
}

static void
test_a_state_that_is_none(void **state)
{
	static const char *const texts[] = {"null", "[]", "[1, null, {\"keys\": 7}]",
	    ("[{\"requests\": -5, \"base\": \"x\", \"keys\": [1, [], [\"\", 1], [\"6\", "
	     "1], "
	     "[\"zz\", 1], [\"61zz\", 1], [\"  \", 1], [7, 1], [\"61\", -1, -1, 2]]}]")};
	struct top_sum *s = &top.gone[TOP_CLIENT];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		json_t *from = json_loads(texts[i], JSON_DECODE_ANY, NULL);

		assert_non_null(from);
		top_restore(&top, from);
		json_decref(from);
	}
	assert_int_equal(s->n, 1);
	assert_int_equal(s->requests + s->base + s->v[0].requests + s->v[0].sure, 0);
	assert_int_equal(s->v[0].bytes, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_exact, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(test_many_workers, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(test_hostile, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(
		test_an_upgrade_forgets_nothing, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(
		test_a_state_that_is_none, on_setup, on_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
