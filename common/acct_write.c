/* The writer of a table of accounts: rows found and given out, counts committed. Every
 * store that another process must not see early is a release store: free on x86, and it
 * spares the fences that race detectors do not understand. SPDX-License-Identifier: MIT */
#include "common/acct.h"
#include "common/acct_index.h"
#include "common/acct_row.h"
#include "common/siphash.h"

#include <sys/mman.h>

#define ACCT_KEPT_PART 8
/* Rows looked at for one to recycle, each time one is missing. */
#define SEARCH_ROWS 64
/* After a search of all rows was in vain. */
#define SEARCH_AGAIN_NS 1000000000ull

int
acct_begin(struct acct *a, struct err *e)
{
	for (int i = 0; i < ACCT_COLUMNS; i++)
		if (a->place[i] != i || a->columns != ACCT_COLUMNS)
			return err_set(e, "accounts: made by another version");
	/* What the ledger says is for the ledger to write. */
	if (mprotect(a->applied, a->size - (size_t)((char *)a->applied - (char *)a->head),
		PROT_READ) != 0)
		return err_errno(e, "accounts: mprotect");
	a->index = acct_index_create(a->rows);
	if (a->index == NULL)
		return err_set(e, "accounts: no memory");
	atomic_store(&a->head->pid_start, acct_process_start(0));
	atomic_store(&a->head->pid, (int32_t)getpid());
	return 0;
}

static uint64_t
hash_of(const struct acct *a, const char *key, size_t n)
{
	return siphash(a->head->hash_key, key, n);
}

bool
acct_row_is(const struct acct *a, uint32_t row, const char *key, size_t n)
{
	const struct acct_row *r = &a->row[row];

	return atomic_load_explicit(&r->key_len, memory_order_relaxed) == n &&
	       memcmp((const char *)r->key, key, n) == 0;
}

/* Gives the row to this key, all values 0. Cut in the middle, it becomes nobody's. */
static void
row_assign(struct acct *a, uint32_t row, const char *key, size_t n)
{
	struct acct_row *r = &a->row[row];
	uint32_t epoch = atomic_load_explicit(&r->epoch, memory_order_relaxed) + 1;
	uint64_t words[ARRAY_LEN(r->key)] = {0};

	memcpy(words, key, n);
	set(&a->head->redo.value[0], epoch);
	set(&a->head->redo.row, row);
	set(&a->head->redo.state, REDO_ASSIGN);
	row_open(r);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		set(&r->key[i], words[i]);
	for (size_t i = 0; i < ACCT_COLUMNS_MAX; i++)
		set(&r->value[i], 0);
	atomic_store_explicit(&r->epoch, epoch, memory_order_release);
	atomic_store_explicit(&r->key_len, (uint32_t)n, memory_order_release);
	set(&r->last_ns, a->now_ns);
	row_close(r);
	set(&a->head->redo.state, REDO_NONE);
}

/* Nothing of it is under way, and all it counted is applied. */
static bool
is_recyclable(const struct acct *a, uint32_t row)
{
	const struct acct_row *r = &a->row[row];

	return a->index->held[row] == 0 && get(&r->last_ns) + ACCT_IDLE_NS < a->now_ns &&
	       get(&a->applied[row].seq) == get(&r->seq);
}

/* Rows that accounts may have that nobody keeps rows for. */
static uint32_t
rows_for_all(const struct acct *a)
{
	return a->rows - a->rows / ACCT_KEPT_PART;
}

/* One of the first `end`. */
static uint32_t
recycle(struct acct *a, uint32_t end)
{
	struct acct_index *x = a->index;
	const struct acct_row *r;
	uint32_t row;

	if (x->vain_ns != 0 && a->now_ns < x->vain_ns + SEARCH_AGAIN_NS)
		return ACCT_ROW_OVERFLOW;
	for (int tries = 0; tries < SEARCH_ROWS; tries++) {
		if (x->hand < ACCT_ROWS_RESERVED)
			x->hand = ACCT_ROWS_RESERVED;
		row = x->hand++;
		if (x->hand >= end) {
			x->hand = 0;
			x->vain_ns = a->now_ns;
		}
		if (row >= end)
			continue;
		if (!is_recyclable(a, row))
			continue;
		r = &a->row[row];
		acct_index_drop(x,
		    hash_of(a, (const char *)r->key,
			atomic_load_explicit(&r->key_len, memory_order_relaxed)),
		    row);
		x->vain_ns = 0;
		set(&a->head->recycled, get(&a->head->recycled) + 1);
		return row;
	}
	return ACCT_ROW_OVERFLOW;
}

static uint32_t
row_new(struct acct *a, uint64_t hash, const char *key, size_t n, bool kept)
{
	const uint32_t most = kept ? a->rows : rows_for_all(a);
	uint32_t used = acct_used(a), row = used;

	if (used >= most)
		row = recycle(a, MIN(used, most));
	if (row == ACCT_ROW_OVERFLOW) {
		set(&a->head->overflowed, get(&a->head->overflowed) + 1);
		return row;
	}
	row_assign(a, row, key, n);
	if (row == used)
		atomic_store_explicit(&a->head->used, used + 1, memory_order_release);
	acct_index_put(a->index, hash, row);
	return row;
}

static uint32_t
row_find(struct acct *a, const char *key, size_t n, bool kept)
{
	uint64_t hash;
	uint32_t at = 0, row;

	if (n == 0 || n > ACCT_KEY_MAX)
		return ACCT_ROW_NONE;
	hash = hash_of(a, key, n);
	while ((row = acct_index_next(a->index, hash, &at)) != UINT32_MAX)
		if (acct_row_is(a, row, key, n))
			return row;
	return row_new(a, hash, key, n, kept);
}

uint32_t
acct_row_find(struct acct *a, const char *key, size_t n)
{
	return row_find(a, key, n, false);
}

uint32_t
acct_row_find_kept(struct acct *a, const char *key, size_t n)
{
	return row_find(a, key, n, true);
}

void
acct_row_hold(struct acct *a, uint32_t row)
{
	a->index->held[row]++;
}

void
acct_row_release(struct acct *a, uint32_t row)
{
	a->index->held[row]--;
}

void
acct_commit(struct acct *a, uint32_t row, const uint64_t add[ACCT_COLUMNS])
{
	struct acct_row *r = &a->row[row];
	uint64_t value[ACCT_COLUMNS];

	for (int i = 0; i < ACCT_COLUMNS; i++) {
		value[i] = get(&r->value[i]) + add[i];
		set(&a->head->redo.value[i], value[i]);
	}
	set(&a->head->redo.row, row);
	set(&a->head->redo.state, REDO_COMMIT);
	row_open(r);
	for (int i = 0; i < ACCT_COLUMNS; i++)
		set(&r->value[i], value[i]);
	set(&r->last_ns, a->now_ns);
	row_close(r);
	set(&a->head->redo.state, REDO_NONE);
}

void
acct_intend(struct acct *a, uint32_t row, uint64_t n)
{
	if (n > 0)
		set(&a->head->intent.row, row);
	set(&a->head->intent.bytes, n);
}
