/* The output queue: pieces in order, everything lent given back once, two threads.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/net/outq.h"

#include <pthread.h>
#include <stdio.h>

static _Atomic int released;

static void
release(void *owner)
{
	atomic_fetch_add((_Atomic int *)owner, 1);
}

static void
copy(struct outq *q, enum out_kind kind, const char *text)
{
	size_t n = strlen(text);
	char *room = outq_room(q, n);

	assert_non_null(room);
	memcpy(room, text, n);
	outq_add(q, kind, n);
}

/* Takes up to max bytes as a client would, appending them to `to`. */
static size_t
take(struct outq *q, char *to, size_t max, uint64_t sent[OUT_KINDS])
{
	struct outq_cursor c = outq_begin(q);
	struct out_seg *s;
	size_t n = 0;

	while (n < max && (s = outq_next(&c)) != NULL) {
		size_t step = MIN(max - n, (size_t)s->len);

		memcpy(to + n, s->p, step);
		n += step;
	}
	outq_take(q, n, sent, release);
	return n;
}

static void
test_pieces_and_kinds(void **state)
{
	static const char lent[] = "lent";
	struct outq *q = malloc(sizeof(*q));
	uint64_t sent[OUT_KINDS] = {0};
	char got[64] = "";
	size_t n = 0;

	(void)state;
	outq_init(q);
	released = 0;
	assert_false(outq_publish(q));
	copy(q, OUT_HEAD, "head");
	assert_true(outq_empty(q)); /* not handed over yet */
	assert_true(outq_publish(q));
	copy(q, OUT_FRAMING, "4.");
	copy(q, OUT_FRAMING, "."); /* prolongs the piece before */
	assert_int_equal(outq_borrow(q, OUT_BODY, lent, 4, &released), 0);
	assert_true(outq_publish(q));
	assert_int_equal(q->pending, 11);
	while (n < 11) /* byte by byte */
		n += take(q, got + n, 1, sent);
	assert_string_equal(got, "head4..lent");
	assert_int_equal(sent[OUT_HEAD], 4);
	assert_int_equal(sent[OUT_FRAMING], 3);
	assert_int_equal(sent[OUT_BODY], 4);
	assert_int_equal(released, 1);
	assert_true(outq_empty(q));
	assert_int_equal(q->pending, 0);
	outq_finish(q, release);
	free(q);
}

static void
test_drop_gives_everything_back(void **state)
{
	struct outq *q = malloc(sizeof(*q));

	(void)state;
	outq_init(q);
	released = 0;
	for (int i = 0; i < 200; i++) {
		copy(q, OUT_FRAMING, "x");
		assert_int_equal(outq_borrow(q, OUT_BODY, "y", 1, &released), 0);
		if (i % 3 == 0)
			outq_publish(q);
	}
	assert_non_null(outq_room(q, 100000)); /* larger than a batch */
	outq_add(q, OUT_BODY, 100000);
	outq_drop(q, release);
	assert_in_range(released, 150, 200);
	outq_finish(q, release); /* also what was never handed over */
	assert_int_equal(released, 200);
	assert_int_equal(q->pending, 0);
	free(q);
}

#define NUMBERS 200000

static void *
produce(void *arg)
{
	struct outq *q = arg;
	char text[16];

	for (int i = 0; i < NUMBERS; i++) {
		snprintf(text, sizeof(text), "%07d,", i);
		copy(q, i % 2 ? OUT_BODY : OUT_HEAD, text);
		if (i % 5 == 0)
			outq_publish(q);
	}
	outq_publish(q);
	return NULL;
}

static void
test_two_threads(void **state)
{
	struct outq *q = malloc(sizeof(*q));
	char *got = malloc(NUMBERS * 8 + 1);
	uint64_t sent[OUT_KINDS] = {0};
	pthread_t producer;
	size_t n = 0;

	(void)state;
	outq_init(q);
	assert_int_equal(pthread_create(&producer, NULL, produce, q), 0);
	while (n < NUMBERS * 8)
		n += take(q, got + n, MIN(1 + n % 1000, NUMBERS * 8 - n), sent);
	pthread_join(producer, NULL);
	got[n] = '\0';
	for (int i = 0; i < NUMBERS; i++)
		assert_int_equal(atoi(got + i * 8), i);
	assert_int_equal(sent[OUT_HEAD], NUMBERS * 4);
	assert_int_equal(sent[OUT_BODY], NUMBERS * 4);
	assert_true(outq_empty(q));
	outq_finish(q, release);
	free(got);
	free(q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pieces_and_kinds),
	    cmocka_unit_test(test_drop_gives_everything_back),
	    cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests_name("outq", tests, NULL, NULL);
}
