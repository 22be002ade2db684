/* What all accounts have used since this master began: read from the workers' tables again
 * and again, so that no total goes backwards when a worker ends or a row changes hands. And
 * where these tables are. SPDX-License-Identifier: MIT */
#pragma once

#include "common/acct.h"
#include "master/held.h"

#include <jansson.h>

#define ACCOUNTS_KEPT 16384 /* accounts by name; the rest together is ~other */
#define ACCOUNTS_OTHER "~other"

struct acct_index;
struct event_base;
struct orphan;

struct account {
	char name[ACCT_KEY_MAX + 1];
	uint64_t value[ACCT_COLUMNS];
	uint64_t billed; /* as accounts_billed() said last */
};

/* One worker's table and what of it is in the sums. Zeroed is a fine start. */
struct accounts_table {
	struct acct acct;        /* owned mapping */
	struct acct_view *marks; /* owned; by row, as last seen */
	uint32_t n_marks;
	uint64_t overflowed; /* as last seen */
};

struct accounts {
	int dir_fd; /* owned; -1: tables are memory of no file */
	struct held
	    *held; /* borrowed: with a ledger, what does not fit; NULL: there is none */
	bool room_warned;
	struct account *v; /* owned; ACCOUNTS_OTHER first */
	uint32_t n, capacity;
	struct acct_index *index; /* owned */
	uint64_t hash_key[2];
	uint64_t overflowed;     /* requests that found no row of their own */
	struct event_base *base; /* borrowed */
	struct orphan *orphans;  /* owned list: tables of workers a master before had */
};

/* dir: where a ledger finds the tables; NULL: there is none. recover: completes what a
 * killed master left there, at once or when its worker is gone. */
NODISCARD int accounts_open(struct accounts *a, const char *dir, bool recover,
    struct event_base *base, struct err *e);
void accounts_close(struct accounts *a);

/* A new table for a worker; id as acct_create(). *fd is the caller's. */
NODISCARD int accounts_create(struct accounts *a, struct accounts_table *t, unsigned rows,
    const unsigned id[3], int *fd, struct err *e);
/* Whether a ledger takes what is counted; without one these sums are all there is. */
bool accounts_have_ledger(const struct accounts *a);
/* Adds what a table has grown since the last time. */
void accounts_look(struct accounts *a, struct accounts_table *t);
void accounts_table_close(struct accounts_table *t);
/* The sums of this name, ~other's when it has none of its own; made when it is new. */
struct account *accounts_find(struct accounts *a, const char *name);

/* Billable bytes as a counter, which they are not: what turns out not to have been
 * delivered is taken off again. It waits until they have grown beyond what was said. */
uint64_t accounts_billed(struct account *a);

/* What the sums hold beyond the tables of workers that go on (borrowed), for the binary
 * that takes over, and back: before it looks at any table. */
json_t *accounts_save(
    const struct accounts *a, const struct accounts_table *const *live, size_t n);
void accounts_restore(struct accounts *a, const json_t *from);

/* The help, unit and name of each column. */
struct accounts_column {
	const char *name, *unit, *help;
};
extern const struct accounts_column accounts_columns[ACCT_COLUMNS];
