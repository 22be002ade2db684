/* The ledger's file: an SQLite database in which usage, the watermark it was counted up to
 * and the outbox change together or not at all. SPDX-License-Identifier: MIT */
#pragma once

#include "master/ledger/record.h"

#include <sqlite3.h>

/* Steps in the life of what was counted. */
struct store_spans {
	int64_t minutes_s; /* then minutes become hours */
	int64_t hours_s;   /* then hours become days */
	int64_t days_s;    /* then days are dropped; 0: never */
	int64_t outbox_s;  /* how long the outbox keeps its records; 0: there is none */
#define STORE_UNSHIPPED 4  /* so much longer what a shipper has not asked beyond */
};

struct store {
	sqlite3 *db; /* owned; NULL: not open */
	char path[4096];
	char node[128];
	struct store_spans spans;
	int rc;                                /* of SQLite's last failure */
	uint64_t lot;                          /* the last one given out */
	int64_t outbox_records, outbox_before; /* now; at the transaction's begin */
	int64_t shipped; /* somebody has all records up to this; 0: nobody ever asked */
	int64_t pruned;  /* records dropped by this process that nobody had asked beyond */
	/* Prepared once; owned. */
	sqlite3_stmt *add, *outbox, *mark, *drop_old, *segment;
};

/* Opens, creates, or brings an older one up to date. */
NODISCARD int store_open(struct store *s, struct err *e);
void store_close(struct store *s);
/* Whether the last failure says that the file is beyond repair. */
bool store_is_corrupt(const struct store *s);
/* Renames a corrupt file (closed by this), so that store_open() begins a new one. `to` gets
 * its new name. */
NODISCARD int store_set_aside(struct store *s, char *to, size_t max, struct err *e);

/* ---- One flush (store_commit.c) ---- */

NODISCARD int store_begin(struct store *s, struct err *e);
/* Adds to usage and outbox. */
NODISCARD int store_add(struct store *s, const struct record *r, struct err *e);
/* The watermark of a row: everything up to these values has been added. */
NODISCARD int store_mark(struct store *s, const struct row_id *id,
    const uint64_t value[ACCT_COLUMNS], struct err *e);
/* The segment is known, of this boot; closed: nothing will come behind its last record. */
NODISCARD int store_note_segment(struct store *s, const uint8_t seg[SEGMENT_ID_LEN],
    const char *boot, bool closed, struct err *e);
/* Its file is gone: its watermark has no meaning any more. */
NODISCARD int store_forget_segment(
    struct store *s, const uint8_t seg[SEGMENT_ID_LEN], struct err *e);
NODISCARD int store_commit(struct store *s, struct err *e);
void store_rollback(struct store *s);

/* Calls fn for each row of the segment that has a watermark. *known: the segment is in the
 * ledger. */
typedef void store_mark_fn(
    void *ctx, uint32_t row, uint32_t epoch, const uint64_t value[ACCT_COLUMNS]);
NODISCARD int store_read_marks(struct store *s, const uint8_t seg[SEGMENT_ID_LEN],
    bool *known, store_mark_fn *fn, void *ctx, struct err *e);
/* Calls fn for each segment that is in the ledger: what has no file any more is forgotten.
 */
typedef void store_segment_fn(
    void *ctx, const uint8_t seg[SEGMENT_ID_LEN], bool same_boot, bool closed);
NODISCARD int store_each_segment(
    struct store *s, const char *boot, store_segment_fn *fn, void *ctx, struct err *e);

/* ---- Small things ---- */

NODISCARD int store_exec(struct store *s, const char *sql, struct err *e);
NODISCARD int store_prepare(
    struct store *s, sqlite3_stmt **stmt, const char *sql, struct err *e);
/* Runs a statement that gives no rows, and makes it ready for the next time. */
NODISCARD int store_run(struct store *s, sqlite3_stmt *stmt, struct err *e);
/* Puts SQLite's reason into e. */
int store_fail(struct store *s, const char *what, struct err *e);
NODISCARD int store_set_meta(
    struct store *s, const char *key, int64_t value, struct err *e);
int64_t store_get_meta(struct store *s, const char *key, int64_t none);

/* Somebody asks for what comes behind this number: it has the rest. */
void store_note_shipped(struct store *s, int64_t seq);

/* ---- Growing old (store_age.c) ---- */

/* Rolls up and drops a bounded amount of what is old enough; *more: there is more to do. In
 * a transaction of its own. */
NODISCARD int store_age(struct store *s, int64_t now, bool *more, struct err *e);
