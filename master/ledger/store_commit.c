/* One flush: usage, watermark and outbox in one transaction. SPDX-License-Identifier: MIT
 */
#include "master/ledger/store.h"

#include "master/ledger/columns.h"

#include <stdio.h>

int
store_begin(struct store *s, struct err *e)
{
	s->outbox_before = s->outbox_records;
	return store_exec(s, "BEGIN IMMEDIATE", e);
}

void
store_rollback(struct store *s)
{
	s->outbox_records = s->outbox_before;
	/* Some failures have rolled back already. */
	if (s->db != NULL && !sqlite3_get_autocommit(s->db))
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

int
store_commit(struct store *s, struct err *e)
{
	if (store_set_meta(s, "lot", (int64_t)s->lot, e) < 0 ||
	    store_set_meta(s, "outbox_records", s->outbox_records, e) < 0 ||
	    store_set_meta(s, "shipped", s->shipped, e) < 0)
		return -1;
	return store_exec(s, "COMMIT", e);
}

static void
bind_columns(sqlite3_stmt *q, int first, const int64_t value[ACCT_COLUMNS])
{
	for (int i = 0; i < ACCT_COLUMNS; i++)
		sqlite3_bind_int64(q, first + i, value[i]);
}

static int
bind_seg(sqlite3_stmt *q, int at, const uint8_t seg[SEGMENT_ID_LEN])
{
	return sqlite3_bind_blob(q, at, seg, SEGMENT_ID_LEN, SQLITE_STATIC);
}

static int
add_to_outbox(struct store *s, const struct record *r, struct err *e)
{
	sqlite3_stmt *q = s->outbox;

	sqlite3_bind_int64(q, 1, (int64_t)r->lot);
	bind_seg(q, 2, r->id.seg);
	sqlite3_bind_int64(q, 3, r->id.row);
	sqlite3_bind_int64(q, 4, r->id.epoch);
	sqlite3_bind_int64(q, 5, r->bucket);
	sqlite3_bind_text(q, 6, r->account, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 7, r->late);
	bind_columns(q, 8, r->delta);
	/* Stays so when the record was there and has grown. */
	sqlite3_set_last_insert_rowid(s->db, 0);
	if (store_run(s, q, e) < 0)
		return -1;
	s->outbox_records += sqlite3_last_insert_rowid(s->db) != 0;
	return 0;
}

int
store_add(struct store *s, const struct record *r, struct err *e)
{
	sqlite3_stmt *q = s->add;

	sqlite3_bind_int64(q, 1, r->bucket);
	sqlite3_bind_text(q, 2, r->account, -1, SQLITE_STATIC);
	bind_columns(q, 3, r->delta);
	if (store_run(s, q, e) < 0)
		return -1;
	return s->spans.outbox_s == 0 ? 0 : add_to_outbox(s, r, e);
}

int
store_mark(struct store *s, const struct row_id *id, const uint64_t value[ACCT_COLUMNS],
    struct err *e)
{
	sqlite3_stmt *q = s->mark;

	bind_seg(q, 1, id->seg);
	sqlite3_bind_int64(q, 2, id->row);
	sqlite3_bind_int64(q, 3, id->epoch);
	for (int i = 0; i < ACCT_COLUMNS; i++)
		sqlite3_bind_int64(q, 4 + i, (int64_t)value[i]);
	if (store_run(s, q, e) < 0)
		return -1;
	if (id->epoch == 0)
		return 0;
	q = s->drop_old;
	bind_seg(q, 1, id->seg);
	sqlite3_bind_int64(q, 2, id->row);
	sqlite3_bind_int64(q, 3, id->epoch);
	return store_run(s, q, e);
}

int
store_note_segment(struct store *s, const uint8_t seg[SEGMENT_ID_LEN], const char *boot,
    bool closed, struct err *e)
{
	bind_seg(s->segment, 1, seg);
	sqlite3_bind_text(s->segment, 2, boot, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s->segment, 3, closed);
	return store_run(s, s->segment, e);
}

int
store_forget_segment(struct store *s, const uint8_t seg[SEGMENT_ID_LEN], struct err *e)
{
	static const char *const sql[] = {
	    "DELETE FROM applied WHERE seg=?", "DELETE FROM segment WHERE seg=?"};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(sql) && rc == 0; i++) {
		sqlite3_stmt *q;

		if (store_prepare(s, &q, sql[i], e) < 0)
			return -1;
		bind_seg(q, 1, seg);
		rc = store_run(s, q, e);
		sqlite3_finalize(q);
	}
	return rc;
}

/* -1: e; else whether it is there. */
static int
knows_segment(struct store *s, const uint8_t seg[SEGMENT_ID_LEN], struct err *e)
{
	sqlite3_stmt *q;
	int rc;

	if (store_prepare(s, &q, "SELECT 1 FROM segment WHERE seg=?", e) < 0)
		return -1;
	bind_seg(q, 1, seg);
	rc = sqlite3_step(q);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		store_fail(s, "cannot be read", e);
	sqlite3_finalize(q);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

int
store_read_marks(struct store *s, const uint8_t seg[SEGMENT_ID_LEN], bool *known,
    store_mark_fn *fn, void *ctx, struct err *e)
{
	int rc = knows_segment(s, seg, e);
	sqlite3_stmt *q;
	char sql[1024];

	*known = rc == 1;
	if (rc <= 0)
		return rc;
	snprintf(
	    sql, sizeof(sql), "SELECT row, epoch%s FROM applied WHERE seg=?", columns_list);
	if (store_prepare(s, &q, sql, e) < 0)
		return -1;
	bind_seg(q, 1, seg);
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		uint64_t value[ACCT_COLUMNS];

		for (int i = 0; i < ACCT_COLUMNS; i++)
			value[i] = (uint64_t)sqlite3_column_int64(q, 2 + i);
		fn(ctx, (uint32_t)sqlite3_column_int64(q, 0),
		    (uint32_t)sqlite3_column_int64(q, 1), value);
	}
	if (rc != SQLITE_DONE)
		store_fail(s, "cannot be read", e);
	sqlite3_finalize(q);
	return rc == SQLITE_DONE ? 0 : -1;
}

int
store_each_segment(
    struct store *s, const char *boot, store_segment_fn *fn, void *ctx, struct err *e)
{
	sqlite3_stmt *q;
	int rc;

	if (store_prepare(s, &q, "SELECT seg, boot, closed FROM segment", e) < 0)
		return -1;
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		const void *seg = sqlite3_column_blob(q, 0);
		const char *of = (const char *)sqlite3_column_text(q, 1);

		if (seg != NULL && sqlite3_column_bytes(q, 0) == SEGMENT_ID_LEN)
			fn(ctx, seg, of != NULL && strcmp(of, boot) == 0,
			    sqlite3_column_int(q, 2) != 0);
	}
	if (rc != SQLITE_DONE)
		store_fail(s, "cannot be read", e);
	sqlite3_finalize(q);
	return rc == SQLITE_DONE ? 0 : -1;
}
