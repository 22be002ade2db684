/* Readers of a table of accounts, and the one that completes a dead writer's work. The
 * table is hostile: a worker's application can write to all of it.
 * SPDX-License-Identifier: MIT */
#include "common/acct_row.h"

#include <stdio.h>

/* A commit takes nanoseconds; a writer that was put to sleep inside one keeps its row from
 * being read until it runs again. */
#define READ_TRIES 1000

uint32_t
acct_used(const struct acct *a)
{
	uint32_t used = atomic_load_explicit(&a->head->used, memory_order_acquire);

	return MIN(used, a->rows);
}

uint64_t
acct_row_seq(const struct acct *a, uint32_t row)
{
	return row < a->rows ? atomic_load_explicit(&a->row[row].seq, memory_order_acquire)
			     : 0;
}

static uint64_t
get_acquire(const _Atomic uint64_t *at)
{
	return atomic_load_explicit(at, memory_order_acquire);
}

static void
take_values(const struct acct *a, const _Atomic uint64_t *from, struct acct_view *view)
{
	for (int i = 0; i < ACCT_COLUMNS; i++)
		view->value[i] = a->place[i] < 0 ? 0 : get_acquire(&from[a->place[i]]);
}

/* What is no name acct_key_fold() gives was not written by us. */
static bool
take_key(const struct acct_row *r, struct acct_view *view)
{
	uint64_t words[ARRAY_LEN(r->key)];
	uint32_t n = atomic_load_explicit(&r->key_len, memory_order_acquire);

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		words[i] = get_acquire(&r->key[i]);
	if (n == 0 || n > ACCT_KEY_MAX)
		return false;
	memcpy(view->key, words, n);
	view->key[n] = '\0';
	return strlen(view->key) == n;
}

bool
acct_read(const struct acct *a, uint32_t row, struct acct_view *view)
{
	const struct acct_row *r = &a->row[row];

	if (row >= acct_used(a))
		return false;
	for (int tries = 0; tries < READ_TRIES; tries++) {
		bool named;

		view->seq = get_acquire(&r->seq);
		if (view->seq & 1)
			continue;
		view->epoch = atomic_load_explicit(&r->epoch, memory_order_acquire);
		named = take_key(r, view);
		take_values(a, r->value, view);
		if (get(&r->seq) == view->seq)
			return named;
	}
	return false;
}

static void
redo_commit(struct acct *a, uint32_t row)
{
	struct acct_row *r = &a->row[row];

	row_open(r);
	for (uint32_t i = 0; i < a->columns; i++)
		set(&r->value[i], get(&a->head->redo.value[i]));
	row_close(r);
}

static void
redo_assign(struct acct *a, uint32_t row)
{
	struct acct_row *r = &a->row[row];

	row_open(r);
	atomic_store_explicit(&r->key_len, 0, memory_order_release);
	atomic_store_explicit(
	    &r->epoch, (uint32_t)get(&a->head->redo.value[0]), memory_order_release);
	for (uint32_t i = 0; i < ACCT_COLUMNS_MAX; i++)
		set(&r->value[i], 0);
	row_close(r);
}

static void
redo(struct acct *a)
{
	uint64_t state = get_acquire(&a->head->redo.state), row = get(&a->head->redo.row);

	if (row < a->rows && state == REDO_COMMIT)
		redo_commit(a, (uint32_t)row);
	else if (row < a->rows && state == REDO_ASSIGN)
		redo_assign(a, (uint32_t)row);
	set(&a->head->redo.state, REDO_NONE);
}

/* What it had given to the kernel, nobody knows: any part of it. */
static void
settle_intent(struct acct *a)
{
	uint64_t bytes = get_acquire(&a->head->intent.bytes);
	uint64_t row = get(&a->head->intent.row);
	int8_t place = a->place[ACCT_uncertain];

	bytes = MIN(bytes, (uint64_t)ACCT_SENDS_MAX);
	if (bytes > 0 && row < acct_used(a) && place >= 0) {
		struct acct_row *r = &a->row[row];

		for (uint32_t i = 0; i < a->columns; i++)
			set(&a->head->redo.value[i], get(&r->value[i]));
		set(&a->head->redo.value[place], get(&r->value[place]) + bytes);
		set(&a->head->redo.row, row);
		set(&a->head->redo.state, REDO_COMMIT);
		/* Whoever is cut from here on finds the sum made, and no send. */
		set(&a->head->intent.bytes, 0);
		redo(a);
	}
	set(&a->head->intent.bytes, 0);
}

void
acct_replay(struct acct *a)
{
	if (atomic_load(&a->head->state) == ACCT_CLOSED)
		return;
	redo(a);
	settle_intent(a);
	atomic_store(&a->head->state, ACCT_CLOSED);
}

void
acct_applied_set(struct acct *a, uint32_t row, const struct acct_view *view)
{
	struct acct_applied *p = &a->applied[row];

	if (row >= a->rows)
		return;
	set(&p->seq, get(&p->seq) | 1);
	set(&p->epoch, view->epoch);
	for (int i = 0; i < ACCT_COLUMNS; i++)
		if (a->place[i] >= 0)
			set(&p->value[a->place[i]], view->value[i]);
	set(&p->seq, view->seq);
}

bool
acct_applied_get(const struct acct *a, uint32_t row, struct acct_view *view)
{
	const struct acct_applied *p = &a->applied[row];

	if (row >= a->rows)
		return false;
	view->key[0] = '\0';
	view->seq = get_acquire(&p->seq);
	view->epoch = (uint32_t)get_acquire(&p->epoch);
	take_values(a, p->value, view);
	return (view->seq & 1) == 0 && get(&p->seq) == view->seq;
}
