/* Opens the ledger's file, makes its tables, tells a corrupt one.
 * SPDX-License-Identifier: MIT */
#include "master/ledger/store.h"

#include "master/ledger/columns.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define SCHEMA_VERSION 1
#define BUSY_MS 2000            /* somebody looks into the file by hand */
#define CHECK_MAX (256ll << 20) /* larger files are checked as they are read */
#define WAL_LIMIT "67108864"    /* bytes a checkpointed WAL may keep */
#define SEQUENCE_STEPS_PER_S                                                               \
	10000ll /* outbox numbers of a new file begin beyond the old's */
#define LOTS_PER_S 1000ll

int
store_fail(struct store *s, const char *what, struct err *e)
{
	s->rc = s->db ? sqlite3_extended_errcode(s->db) : SQLITE_NOMEM;
	return err_set(e, "%s: %s: %s", s->path, what,
	    s->db ? sqlite3_errmsg(s->db) : "out of memory");
}

int
store_exec(struct store *s, const char *sql, struct err *e)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return store_fail(s, "cannot be written", e);
	return 0;
}

int
store_prepare(struct store *s, sqlite3_stmt **stmt, const char *sql, struct err *e)
{
	if (sqlite3_prepare_v2(s->db, sql, -1, stmt, NULL) != SQLITE_OK)
		return store_fail(s, "cannot be read", e);
	return 0;
}

int
store_run(struct store *s, sqlite3_stmt *stmt, struct err *e)
{
	int rc = sqlite3_step(stmt);

	if (rc != SQLITE_DONE && rc != SQLITE_ROW) {
		store_fail(s, "cannot be written", e);
		sqlite3_reset(stmt);
		return -1;
	}
	sqlite3_reset(stmt);
	return 0;
}

int
store_set_meta(struct store *s, const char *key, int64_t value, struct err *e)
{
	sqlite3_stmt *q;
	int rc;

	if (store_prepare(s, &q, "INSERT OR REPLACE INTO meta(k, v) VALUES(?, ?)", e) < 0)
		return -1;
	sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 2, value);
	rc = store_run(s, q, e);
	sqlite3_finalize(q);
	return rc;
}

int64_t
store_get_meta(struct store *s, const char *key, int64_t none)
{
	sqlite3_stmt *q;
	struct err e;

	if (store_prepare(s, &q, "SELECT v FROM meta WHERE k=?", &e) < 0)
		return none;
	sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
	if (sqlite3_step(q) == SQLITE_ROW)
		none = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return none;
}

/* ---- Tables ---- */

static const char *const schema[] = {
    "CREATE TABLE IF NOT EXISTS meta(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS usage(span INTEGER NOT NULL, bucket INTEGER NOT NULL, "
    "account TEXT NOT NULL, PRIMARY KEY(span, bucket, account)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS applied(seg BLOB NOT NULL, row INTEGER NOT NULL, "
    "epoch INTEGER NOT NULL, PRIMARY KEY(seg, row, epoch)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS segment(seg BLOB PRIMARY KEY, boot TEXT NOT NULL, "
    "closed INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS outbox(seq INTEGER PRIMARY KEY AUTOINCREMENT, "
    "seg BLOB NOT NULL, row INTEGER NOT NULL, epoch INTEGER NOT NULL, lot INTEGER NOT "
    "NULL, "
    "bucket INTEGER NOT NULL, account TEXT NOT NULL, late INTEGER NOT NULL, "
    "UNIQUE(lot, seg, row, epoch))",
    "CREATE TABLE IF NOT EXISTS adjust(id INTEGER PRIMARY KEY AUTOINCREMENT, "
    "at INTEGER NOT NULL, account TEXT NOT NULL, bucket INTEGER NOT NULL, "
    "\"column\" TEXT NOT NULL, delta INTEGER NOT NULL, reason TEXT NOT NULL, "
    "uid INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS quota(account TEXT NOT NULL, window TEXT NOT NULL, "
    "limit_bytes INTEGER NOT NULL, action TEXT NOT NULL, rate_bytes INTEGER NOT NULL, "
    "PRIMARY KEY(account, window)) WITHOUT ROWID",
};

static bool
has_column(struct store *s, const char *table, const char *column)
{
	sqlite3_stmt *q;
	struct err e;
	bool found;

	if (store_prepare(s, &q, "SELECT 1 FROM pragma_table_info(?) WHERE name=?", &e) < 0)
		return true; /* the next statement fails for the same reason, and says so */
	sqlite3_bind_text(q, 1, table, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, column, -1, SQLITE_STATIC);
	found = sqlite3_step(q) == SQLITE_ROW;
	sqlite3_finalize(q);
	return found;
}

static int
add_column(struct store *s, const char *table, const char *column, struct err *e)
{
	char sql[256];

	if (has_column(s, table, column))
		return 0;
	snprintf(sql, sizeof(sql),
	    "ALTER TABLE %s ADD COLUMN %s INTEGER NOT NULL DEFAULT 0", table, column);
	return store_exec(s, sql, e);
}

/* What this build counts; columns of others stay as they are. */
static int
add_columns(struct store *s, const char *table, struct err *e)
{
	for (unsigned i = 0; i < ACCT_COLUMNS; i++)
		if (add_column(s, table, columns_names[i], e) < 0)
			return -1;
	return 0;
}

/* The numbers of a new file go on beyond those of one that was set aside: whoever read the
 * old one's outbox up to a number, or knows its ids, will not take new records for old
 * ones. */
static int
begin_numbers(struct store *s, struct err *e)
{
	int64_t now = (int64_t)time(NULL);
	char sql[160];

	snprintf(sql, sizeof(sql),
	    "INSERT INTO sqlite_sequence(name, seq) VALUES('outbox', %lld)",
	    (long long)(now * SEQUENCE_STEPS_PER_S));
	if (store_exec(s, sql, e) < 0)
		return -1;
	return store_set_meta(s, "lot", now * LOTS_PER_S, e);
}

static int
make_tables(struct store *s, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(schema); i++)
		if (store_exec(s, schema[i], e) < 0)
			return -1;
	if (add_columns(s, "usage", e) < 0 || add_columns(s, "applied", e) < 0 ||
	    add_columns(s, "outbox", e) < 0 || add_column(s, "quota", "reached", e) < 0 ||
	    add_column(s, "quota", "reached_in", e) < 0)
		return -1;
	if (store_get_meta(s, "schema", 0) == 0 && begin_numbers(s, e) < 0)
		return -1;
	return store_set_meta(s, "schema", SCHEMA_VERSION, e);
}

static int
check_whole(struct store *s, struct err *e)
{
	const char *said = "";
	struct stat st;
	sqlite3_stmt *q;
	int rc;

	if (stat(s->path, &st) < 0 || st.st_size > CHECK_MAX)
		return 0;
	if (store_prepare(s, &q, "PRAGMA quick_check(1)", e) < 0)
		return -1;
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		said = (const char *)sqlite3_column_text(q, 0);
	if (rc != SQLITE_ROW) {
		store_fail(s, "cannot be read", e);
	} else if (said == NULL || strcmp(said, "ok") != 0) {
		s->rc = SQLITE_CORRUPT;
		err_set(e, "%s: %s", s->path, said ? said : "corrupt");
		rc = SQLITE_CORRUPT;
	}
	sqlite3_finalize(q);
	return rc == SQLITE_ROW ? 0 : -1;
}

static int
check_version(struct store *s, struct err *e)
{
	int64_t version = 0;
	sqlite3_stmt *q;

	/* No table yet: a new file. */
	if (sqlite3_prepare_v2(
		s->db, "SELECT v FROM meta WHERE k='schema'", -1, &q, NULL) != SQLITE_OK)
		return 0;
	if (sqlite3_step(q) == SQLITE_ROW)
		version = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	if (version <= SCHEMA_VERSION)
		return 0;
	return err_set(e, "%s: written by a newer shoal (schema %lld, this one knows %d)",
	    s->path, (long long)version, SCHEMA_VERSION);
}

static int
prepare_all(struct store *s, struct err *e)
{
	char sql[4096];

	snprintf(sql, sizeof(sql),
	    "INSERT INTO usage(span, bucket, account%s) VALUES(%d, ?, ?%s) "
	    "ON CONFLICT(span, bucket, account) DO UPDATE SET %s",
	    columns_list, LEDGER_BUCKET_S, columns_marks, columns_add);
	if (store_prepare(s, &s->add, sql, e) < 0)
		return -1;
	snprintf(sql, sizeof(sql),
	    "INSERT INTO outbox(lot, seg, row, epoch, bucket, account, late%s) "
	    "VALUES(?, ?, ?, ?, ?, ?, ?%s) ON CONFLICT(lot, seg, row, epoch) DO UPDATE SET "
	    "%s",
	    columns_list, columns_marks, columns_add);
	if (store_prepare(s, &s->outbox, sql, e) < 0)
		return -1;
	snprintf(sql, sizeof(sql),
	    "INSERT OR REPLACE INTO applied(seg, row, epoch%s) VALUES(?, ?, ?%s)",
	    columns_list, columns_marks);
	if (store_prepare(s, &s->mark, sql, e) < 0)
		return -1;
	if (store_prepare(s, &s->drop_old,
		"DELETE FROM applied WHERE seg=? AND row=? AND epoch<?", e) < 0)
		return -1;
	return store_prepare(s, &s->segment,
	    "INSERT OR REPLACE INTO segment(seg, boot, closed) VALUES(?, ?, ?)", e);
}

static int
set_up(struct store *s, struct err *e)
{
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_timeout(s->db, BUSY_MS);
	if (store_exec(s,
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
		"PRAGMA journal_size_limit=" WAL_LIMIT "; PRAGMA trusted_schema=OFF",
		e) < 0 ||
	    check_whole(s, e) < 0 || check_version(s, e) < 0 ||
	    store_exec(s, "BEGIN IMMEDIATE", e) < 0)
		return -1;
	if (make_tables(s, e) < 0 || store_exec(s, "COMMIT", e) < 0) {
		store_rollback(s);
		return -1;
	}
	s->lot = (uint64_t)store_get_meta(s, "lot", 0);
	return prepare_all(s, e);
}

/* Kept in the file: counting takes long where there are many. */
static int
count_outbox(struct store *s, struct err *e)
{
	sqlite3_stmt *q;
	int rc;

	s->shipped = store_get_meta(s, "shipped", 0);
	s->outbox_records = store_get_meta(s, "outbox_records", -1);
	if (s->outbox_records >= 0)
		return 0;
	if (store_prepare(s, &q, "SELECT count(*) FROM outbox", e) < 0)
		return -1;
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		s->outbox_records = sqlite3_column_int64(q, 0);
	else
		store_fail(s, "cannot be read", e);
	sqlite3_finalize(q);
	return rc == SQLITE_ROW ? 0 : -1;
}

int
store_open(struct store *s, struct err *e)
{
	s->rc = SQLITE_OK;
	if (sqlite3_open_v2(s->path, &s->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		    SQLITE_OPEN_NOFOLLOW,
		NULL) != SQLITE_OK) {
		store_fail(s, "cannot be opened", e);
		store_close(s);
		return -1;
	}
	if (set_up(s, e) < 0 || count_outbox(s, e) < 0) {
		store_close(s);
		return -1;
	}
	return 0;
}

void
store_close(struct store *s)
{
	sqlite3_stmt **const all[] = {
	    &s->add, &s->outbox, &s->mark, &s->drop_old, &s->segment};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		sqlite3_finalize(TAKE_PTR(*all[i]));
	sqlite3_close_v2(TAKE_PTR(s->db));
}

bool
store_is_corrupt(const struct store *s)
{
	int rc = s->rc & 0xff;

	return rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB;
}

int
store_set_aside(struct store *s, char *to, size_t max, struct err *e)
{
	static const char *const tails[] = {"", "-wal", "-shm"};
	long long now = (long long)time(NULL);

	store_close(s);
	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		char from[4200], aside[4300];

		snprintf(from, sizeof(from), "%s%s", s->path, tails[i]);
		snprintf(aside, sizeof(aside), "%s.corrupt-%lld%s", s->path, now, tails[i]);
		if (i == 0)
			snprintf(to, max, "%s", aside);
		if (rename(from, aside) < 0 && !(i > 0 && errno == ENOENT))
			return err_errno(e, "%s cannot be renamed to %s", from, aside);
	}
	return 0;
}
