/* Sums of accounts over the tables of all workers. SPDX-License-Identifier: MIT */
#include "master/accounts.h"

#include "common/acct_index.h"
#include "common/log.h"
#include "common/siphash.h"
#include "master/accounts_orphan.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>

const struct accounts_column accounts_columns[ACCT_COLUMNS] = {
#define ACCT(name, unit, help) {#name, unit, help},
#include "common/acct.def"
#undef ACCT
};

int
accounts_open(struct accounts *a, const char *dir, bool recover, struct event_base *base,
    struct err *e)
{
	*a = (struct accounts){.dir_fd = -1, .base = base, .n = 1, .capacity = 16};
	a->v = calloc(a->capacity, sizeof(*a->v));
	a->index = acct_index_create(ACCOUNTS_KEPT);
	if (a->v == NULL || a->index == NULL)
		return err_set(e, "out of memory");
	snprintf(a->v[0].name, sizeof(a->v[0].name), ACCOUNTS_OTHER);
	if (getrandom(a->hash_key, sizeof(a->hash_key), 0) != sizeof(a->hash_key))
		return err_errno(e, "accounts: getrandom");
	if (dir == NULL)
		return 0;
	a->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (a->dir_fd < 0)
		return err_errno(e, "the accounts' directory %s", dir);
	if (recover)
		orphans_find(a);
	return 0;
}

void
accounts_close(struct accounts *a)
{
	orphans_forget(a);
	free(a->v);
	acct_index_destroy(a->index);
	if (a->dir_fd >= 0)
		close(a->dir_fd);
	*a = (struct accounts){.dir_fd = -1};
}

bool
accounts_have_ledger(const struct accounts *a)
{
	return a->dir_fd >= 0 || a->held != NULL;
}

/* Serving goes on, and the ledger gets the memory itself. */
static int
create_in_memory(struct accounts *a, struct accounts_table *t, unsigned rows,
    const unsigned id[3], int *fd, struct err *e)
{
	char name[ACCT_FILE_MAX];

	held_set_full(a->held, e->text, acct_size(rows));
	if (acct_create(&t->acct, -1, rows, id, fd, e) < 0)
		return -1;
	acct_file_name(t->acct.head, name);
	if (held_add(a->held, name, *fd, e) == 0)
		return 0;
	acct_close(&t->acct);
	close(TAKE_FD(*fd));
	return -1;
}

int
accounts_create(struct accounts *a, struct accounts_table *t, unsigned rows,
    const unsigned id[3], int *fd, struct err *e)
{
	*t = (struct accounts_table){0};
	if (a == NULL || !accounts_have_ledger(a))
		return acct_create(&t->acct, -1, rows, id, fd, e);
	if (a->dir_fd < 0)
		err_set(e, "there is no runtime directory");
	else if (acct_create(&t->acct, a->dir_fd, rows, id, fd, e) == 0)
		return 0;
	return a->held == NULL ? -1 : create_in_memory(a, t, rows, id, fd, e);
}

void
accounts_table_close(struct accounts_table *t)
{
	acct_close(&t->acct);
	free(t->marks);
	*t = (struct accounts_table){0};
}

static struct account *
append(struct accounts *a, uint64_t hash, const char *name, size_t n)
{
	struct account *grown;

	if (a->n == ACCOUNTS_KEPT)
		return &a->v[0];
	if (a->n == a->capacity) {
		grown = reallocarray(a->v, (size_t)a->capacity * 2, sizeof(*a->v));
		if (grown == NULL)
			return &a->v[0];
		a->v = grown;
		a->capacity *= 2;
	}
	a->v[a->n] = (struct account){0};
	memcpy(a->v[a->n].name, name, n);
	acct_index_put(a->index, hash, a->n);
	return &a->v[a->n++];
}

struct account *
accounts_find(struct accounts *a, const char *name)
{
	size_t n = strlen(name);
	uint64_t hash = siphash(a->hash_key, name, n);
	uint32_t at = 0, i;

	while ((i = acct_index_next(a->index, hash, &at)) != UINT32_MAX)
		if (strcmp(a->v[i].name, name) == 0)
			return &a->v[i];
	return append(a, hash, name, n);
}

/* Both at most INT64_MAX, so the sum is; a worker's numbers may be anything. */
static uint64_t
grow(uint64_t sum, uint64_t before, uint64_t now)
{
	return now > before && now <= INT64_MAX
		   ? MIN(sum + (now - before), (uint64_t)INT64_MAX)
		   : sum;
}

static void
take(struct accounts *a, struct acct_view *mark, const struct acct_view *now)
{
	struct account *to = accounts_find(a, now->key);

	if (mark->epoch != now->epoch)
		memset(mark->value, 0, sizeof(mark->value));
	for (int i = 0; i < ACCT_COLUMNS; i++)
		to->value[i] = grow(to->value[i], mark->value[i], now->value[i]);
	*mark = *now;
}

static bool
reserve(struct accounts_table *t, uint32_t used)
{
	uint32_t n = MIN(MAX(used, t->n_marks * 2), t->acct.rows);
	struct acct_view *grown;

	if (used <= t->n_marks)
		return true;
	grown = reallocarray(t->marks, n, sizeof(*grown));
	if (grown == NULL)
		return false; /* the next look finds all that grew meanwhile */
	memset(grown + t->n_marks, 0, (n - t->n_marks) * sizeof(*grown));
	t->marks = grown;
	t->n_marks = n;
	return true;
}

void
accounts_look(struct accounts *a, struct accounts_table *t)
{
	struct acct *table = &t->acct;
	struct acct_view now;
	uint64_t overflowed;

	if (a == NULL || table->head == NULL || !reserve(t, acct_used(table)))
		return;
	for (uint32_t row = 0; row < MIN(acct_used(table), t->n_marks); row++) {
		if (acct_row_seq(table, row) == t->marks[row].seq ||
		    !acct_read(table, row, &now))
			continue;
		take(a, &t->marks[row], &now);
		/* Nobody else says which rows may be given away. */
		if (!accounts_have_ledger(a))
			acct_applied_set(table, row, &now);
	}
	overflowed = atomic_load_explicit(&table->head->overflowed, memory_order_relaxed);
	a->overflowed = grow(a->overflowed, t->overflowed, overflowed);
	t->overflowed = MAX(t->overflowed, overflowed);
}
