/* accounting.query: sums of the ledger by time and account. SPDX-License-Identifier: MIT */
#include "master/ledger/columns.h"
#include "master/ledger/ledger.h"
#include "master/ledger/when.h"

#include <stdio.h>

#define COLUMNS_MAX 16
#define ROWS_DEFAULT 1000
#define ROWS_MAX 10000
#define ANSWER_MAX 3000000 /* bytes, about: what the control socket carries is 4 MiB */
#define STEPS "1m, 1h, 1d, 1mo or all"
#define QUERY_OPS_MAX 200000000 /* instructions of SQLite's machine: some seconds */

static const struct {
	const char *name, *bucket; /* as SQL; all: the beginning, bound as ?1 */
} steps[] = {
    {"1m", "bucket/60*60"},
    {"1h", "bucket/3600*3600"},
    {"1d", "bucket/86400*86400"},
    {"1mo", "CAST(strftime('%s', bucket, 'unixepoch', 'start of month') AS INTEGER)"},
    {"all", "?1"},
};

struct query {
	int64_t from, to;
	const char *bucket;
	const char *columns[COLUMNS_MAX];
	size_t n_columns;
	char *accounts; /* owned; a JSON array, NULL: all */
	int64_t limit;
	int64_t after_bucket; /* the cursor */
	const char *after_account;
};

static const char *const default_columns[] = {
    "requests", "aborted", "in_bytes", "billable_bytes", "undelivered_bytes"};

static bool
read_time(
    const json_t *params, const char *name, int64_t none, int64_t *at, struct fault *f)
{
	const char *text = ledger_param_text(params, name, NULL);

	*at = none;
	if (text == NULL || when_parse(text, at) == 0)
		return true;
	ledger_refuse_param(f, name,
	    "a time in UTC like 2026-11, 2026-11-21, 2026-11-21T08:30:00Z or Unix seconds",
	    "accounting.query");
	return false;
}

/* Without include_open, only minutes to which nothing is added any more. */
static bool
read_range(struct ledger *l, const json_t *params, struct query *q, struct fault *f)
{
	int64_t open = (int64_t)l->complete_until / LEDGER_BUCKET_S * LEDGER_BUCKET_S;

	if (!read_time(params, "from", when_floor((int64_t)ledger_now(), WHEN_MONTH),
		&q->from, f) ||
	    !read_time(params, "to", INT64_MAX, &q->to, f))
		return false;
	if (q->to <= q->from) {
		ledger_refuse_param(f, "to", "later than from", "accounting.query");
		return false;
	}
	if (!json_is_true(json_object_get(params, "include_open")))
		q->to = MIN(q->to, open);
	return true;
}

static bool
read_columns(const json_t *params, struct query *q, struct fault *f)
{
	const json_t *list = json_object_get(params, "columns");
	size_t n = list ? json_array_size(list) : ARRAY_LEN(default_columns);

	if (n == 0 || n > COLUMNS_MAX) {
		ledger_refuse_param(f, "columns", "1 to 16 names", "accounting.query");
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		const char *name =
		    list ? json_string_value(json_array_get(list, i)) : default_columns[i];

		if (name == NULL || columns_expression(name) == NULL) {
			ledger_refuse_param(
			    f, "columns", columns_known, "accounting.query");
			return false;
		}
		q->columns[q->n_columns++] = name;
	}
	return true;
}

static bool
read_step(const json_t *params, struct query *q, struct fault *f)
{
	const char *name = ledger_param_text(params, "step", "all");

	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		if (strcmp(steps[i].name, name) == 0)
			q->bucket = steps[i].bucket;
	if (q->bucket == NULL)
		ledger_refuse_param(f, "step", STEPS, "accounting.query");
	return q->bucket != NULL;
}

/* "BUCKET/ACCOUNT": the last row of the page before. */
static bool
read_cursor(const json_t *params, struct query *q, struct fault *f)
{
	const char *text = ledger_param_text(params, "cursor", NULL);
	char *end;

	q->after_bucket = INT64_MIN;
	q->after_account = "";
	if (text == NULL)
		return true;
	q->after_bucket = strtoll(text, &end, 10);
	q->after_account = end + 1;
	if (end == text || *end != '/') {
		ledger_refuse_param(
		    f, "cursor", "what the page before ended with", "accounting.query");
		return false;
	}
	return true;
}

static bool
read_query(struct ledger *l, const json_t *params, struct query *q, struct fault *f)
{
	const json_t *accounts = json_object_get(params, "accounts");

	if (!read_range(l, params, q, f) || !read_columns(params, q, f) ||
	    !read_step(params, q, f) || !read_cursor(params, q, f))
		return false;
	if (accounts != NULL)
		q->accounts = json_dumps(accounts, JSON_COMPACT);
	q->limit = MIN(ledger_param_int(params, "limit", ROWS_DEFAULT), (int64_t)ROWS_MAX);
	q->limit = MAX(
	    MIN(q->limit, (int64_t)(ANSWER_MAX / (100 + 22 * q->n_columns))), (int64_t)1);
	return true;
}

static int
prepare(struct ledger *l, const struct query *q, sqlite3_stmt **stmt, struct err *e)
{
	char sql[4096];
	size_t n = (size_t)snprintf(sql, sizeof(sql), "SELECT %s AS b, account", q->bucket);

	for (size_t i = 0; i < q->n_columns; i++)
		n += (size_t)snprintf(sql + n, sizeof(sql) - n, ", sum(%s)",
		    columns_expression(q->columns[i]));
	snprintf(sql + n, sizeof(sql) - n,
	    " FROM usage WHERE bucket>=?1 AND bucket<?2%s GROUP BY b, account "
	    "HAVING (b, account)>(?4, ?5) ORDER BY b, account LIMIT ?6",
	    q->accounts ? " AND account IN (SELECT value FROM json_each(?3))" : "");
	if (store_prepare(&l->store, stmt, sql, e) < 0)
		return -1;
	sqlite3_bind_int64(*stmt, 1, q->from);
	sqlite3_bind_int64(*stmt, 2, q->to);
	if (q->accounts != NULL)
		sqlite3_bind_text(*stmt, 3, q->accounts, -1, SQLITE_STATIC);
	sqlite3_bind_int64(*stmt, 4, q->after_bucket);
	sqlite3_bind_text(*stmt, 5, q->after_account, -1, SQLITE_STATIC);
	sqlite3_bind_int64(*stmt, 6, q->limit);
	return 0;
}

static json_t *
row_to_json(sqlite3_stmt *stmt, size_t n_columns)
{
	json_t *row = json_array();

	json_array_append_new(row, json_integer(sqlite3_column_int64(stmt, 0)));
	json_array_append_new(row, json_string((const char *)sqlite3_column_text(stmt, 1)));
	for (size_t i = 0; i < n_columns; i++)
		json_array_append_new(
		    row, json_integer(sqlite3_column_int64(stmt, 2 + (int)i)));
	return row;
}

static json_t *
cursor_of(const json_t *rows, int64_t limit)
{
	const json_t *last;

	if ((int64_t)json_array_size(rows) < limit)
		return json_null();
	last = json_array_get(rows, json_array_size(rows) - 1);
	return json_sprintf("%" JSON_INTEGER_FORMAT "/%s",
	    json_integer_value(json_array_get(last, 0)),
	    json_string_value(json_array_get(last, 1)));
}

static int
give_up(void *ctx)
{
	(void)ctx;
	return 1;
}

static json_t *
collect(struct ledger *l, const struct query *q, struct fault *f)
{
	json_t *rows = json_array(), *names = json_pack("[s, s]", "bucket", "account");
	sqlite3_stmt *stmt = NULL;
	struct err e;
	int rc = SQLITE_ERROR;

	/* A question must not keep the flush waiting for long. */
	sqlite3_progress_handler(l->store.db, QUERY_OPS_MAX, give_up, NULL);
	if (prepare(l, q, &stmt, &e) == 0)
		while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
			json_array_append_new(rows, row_to_json(stmt, q->n_columns));
	sqlite3_progress_handler(l->store.db, 0, NULL, NULL);
	if (rc != SQLITE_DONE) {
		store_fail(&l->store, "cannot be read", &e);
		sqlite3_finalize(stmt);
		json_decref(rows);
		json_decref(names);
		if (rc == SQLITE_INTERRUPT)
			return ledger_refuse(f, "too_large",
			    "accounting.query: too many rows to add up; ask for a shorter "
			    "time");
		return ledger_refuse(f, "failed_precondition", "%s", e.text);
	}
	sqlite3_finalize(stmt);
	for (size_t i = 0; i < q->n_columns; i++)
		json_array_append_new(names, json_string(q->columns[i]));
	return json_pack("{s:f, s:I, s:I, s:o, s:o, s:o}", "complete_until",
	    l->complete_until, "from", (json_int_t)q->from, "to",
	    (json_int_t)MIN(q->to, (int64_t)l->complete_until + 1), "columns", names,
	    "rows", rows, "cursor", cursor_of(rows, q->limit));
}

json_t *
ledger_query(struct ledger *l, const json_t *params, struct fault *f)
{
	struct query q = {0};
	json_t *result;

	if (l->store.db == NULL)
		return ledger_refuse(
		    f, "failed_precondition", "the ledger cannot be opened: %s", l->why);
	result = read_query(l, params, &q, f) ? collect(l, &q, f) : NULL;
	free(q.accounts);
	return result;
}
