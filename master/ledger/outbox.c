/* accounting.export and accounting.adjust: what leaves the ledger, and what is put right.
 * SPDX-License-Identifier: MIT */
#include "master/ledger/columns.h"
#include "master/ledger/ledger.h"
#include "master/ledger/quotas.h"
#include "master/ledger/when.h"

#include <stdio.h>

#define EXPORT_DEFAULT 1000
#define EXPORT_MAX 5000
#define FIRST_COLUMN 8

static json_t *
record_to_json(const struct ledger *l, sqlite3_stmt *q)
{
	static const uint8_t none[SEGMENT_ID_LEN];
	char seg[2 * SEGMENT_ID_LEN + 1] = "adjust";
	const uint8_t *id = sqlite3_column_blob(q, 1);
	json_t *v;

	if (sqlite3_column_bytes(q, 1) == SEGMENT_ID_LEN &&
	    memcmp(id, none, SEGMENT_ID_LEN) != 0)
		for (size_t i = 0; i < SEGMENT_ID_LEN; i++)
			snprintf(seg + 2 * i, 3, "%02x", id[i]);
	v = json_pack("{s:I, s:o, s:I, s:s, s:b}", "seq",
	    (json_int_t)sqlite3_column_int64(q, 0), "id",
	    json_sprintf("%s/%s/%lld/%lld/%lld", l->store.node, seg,
		(long long)sqlite3_column_int64(q, 2),
		(long long)sqlite3_column_int64(q, 3),
		(long long)sqlite3_column_int64(q, 4)),
	    "bucket", (json_int_t)sqlite3_column_int64(q, 5), "account",
	    (const char *)sqlite3_column_text(q, 6), "late", sqlite3_column_int(q, 7));
	for (int i = 0; v != NULL && i < ACCT_COLUMNS; i++)
		json_object_set_new(v, columns_names[i],
		    json_integer(sqlite3_column_int64(q, FIRST_COLUMN + i)));
	return v;
}

/* Only lots that nothing is added to any more: a record that was exported never changes. */
json_t *
ledger_export(struct ledger *l, const json_t *params, struct fault *f)
{
	int64_t after = ledger_param_int(params, "after", 0), last = after;
	json_t *records = json_array();
	sqlite3_stmt *q = NULL;
	struct err e = {"the ledger is not open"};
	char sql[1024];
	int rc = SQLITE_ERROR;

	if (l->store.db != NULL)
		store_note_shipped(&l->store, after);
	snprintf(sql, sizeof(sql),
	    "SELECT seq, seg, row, epoch, lot, bucket, account, late%s FROM outbox "
	    "WHERE seq>? AND lot<? ORDER BY seq LIMIT ?",
	    columns_list);
	if (l->store.db != NULL && store_prepare(&l->store, &q, sql, &e) == 0) {
		sqlite3_bind_int64(q, 1, after);
		sqlite3_bind_int64(q, 2, (int64_t)l->store.lot);
		sqlite3_bind_int64(q, 3,
		    MIN(ledger_param_int(params, "limit", EXPORT_DEFAULT),
			(int64_t)EXPORT_MAX));
		while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
			json_array_append_new(records, record_to_json(l, q));
			last = sqlite3_column_int64(q, 0);
		}
		if (rc != SQLITE_DONE)
			store_fail(&l->store, "cannot be read", &e);
		sqlite3_finalize(q);
	}
	if (rc != SQLITE_DONE) {
		json_decref(records);
		return ledger_refuse(f, "failed_precondition", "%s", e.text);
	}
	return json_pack("{s:o, s:I, s:b}", "records", records, "last", (json_int_t)last,
	    "outbox", l->store.spans.outbox_s > 0);
}

/* ---- Corrections ---- */

struct correction {
	const char *account, *reason;
	unsigned column;
	int64_t bucket, delta, uid;
};

static bool
read_correction(const json_t *params, struct correction *c, struct fault *f)
{
	const char *column = ledger_param_text(params, "column", "");
	const char *at = ledger_param_text(params, "at", NULL);

	c->account = ledger_param_text(params, "account", "");
	c->reason = ledger_param_text(params, "reason", "");
	c->delta = ledger_param_int(params, "delta", 0);
	c->uid = ledger_param_int(params, "uid", -1);
	c->column = columns_find(column);
	c->bucket = (int64_t)ledger_now();
	if (c->column == ACCT_COLUMNS)
		ledger_refuse_param(
		    f, "column", "a counted column, such as out_body", "accounting.adjust");
	else if (c->delta == 0)
		ledger_refuse_param(f, "delta", "other than 0", "accounting.adjust");
	else if (at != NULL && when_parse(at, &c->bucket) < 0)
		ledger_refuse_param(f, "at", "a time in UTC like 2026-11-21T08:30:00Z",
		    "accounting.adjust");
	c->bucket = c->bucket / LEDGER_BUCKET_S * LEDGER_BUCKET_S;
	return f->param == NULL;
}

static int
note(struct store *s, const struct correction *c, struct err *e)
{
	sqlite3_stmt *q;
	int rc;

	if (store_prepare(s, &q,
		"INSERT INTO adjust(at, account, bucket, \"column\", delta, reason, uid) "
		"VALUES(?, ?, ?, ?, ?, ?, ?)",
		e) < 0)
		return -1;
	sqlite3_bind_int64(q, 1, (int64_t)ledger_now());
	sqlite3_bind_text(q, 2, c->account, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, c->bucket);
	sqlite3_bind_text(q, 4, columns_names[c->column], -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 5, c->delta);
	sqlite3_bind_text(q, 6, c->reason, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 7, c->uid);
	rc = store_run(s, q, e);
	sqlite3_finalize(q);
	return rc;
}

/* The correction's own number takes the place of a row: its record is unique, too. */
static int
apply(struct store *s, const struct correction *c, int64_t *number, struct err *e)
{
	struct record r = {.lot = s->lot, .bucket = c->bucket};

	if (store_begin(s, e) < 0)
		return -1;
	r.delta[c->column] = c->delta;
	snprintf(r.account, sizeof(r.account), "%s", c->account);
	if (note(s, c, e) == 0) {
		*number = sqlite3_last_insert_rowid(s->db);
		r.id.row = (uint32_t)*number;
		r.id.epoch = (uint32_t)(*number >> 32);
		if (store_add(s, &r, e) == 0 && store_commit(s, e) == 0)
			return 0;
	}
	store_rollback(s);
	return -1;
}

json_t *
ledger_adjust(struct ledger *l, const json_t *params, struct fault *f)
{
	int64_t delta[ACCT_COLUMNS] = {0};
	struct correction c;
	int64_t number = 0;
	struct err e;

	if (!read_correction(params, &c, f))
		return NULL;
	/* So that it has a database, and a lot. */
	if (ledger_flush(l, false) < 0)
		return ledger_refuse(
		    f, "failed_precondition", "the ledger cannot be written: %s", l->why);
	if (apply(&l->store, &c, &number, &e) < 0)
		return ledger_refuse(f, "failed_precondition", "%s", e.text);
	delta[c.column] = c.delta;
	quotas_count(l->quotas, c.account, c.bucket, columns_billable_of(delta));
	return json_pack("{s:I, s:s, s:I, s:s, s:I}", "adjustment", (json_int_t)number,
	    "account", c.account, "bucket", (json_int_t)c.bucket, "column",
	    columns_names[c.column], "delta", (json_int_t)c.delta);
}
