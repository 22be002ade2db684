/* What grows old: minutes become hours, hours days, and days and the outbox end.
 * SPDX-License-Identifier: MIT */
#include "master/ledger/store.h"

#include "master/ledger/columns.h"

#include <stdio.h>

#define HOUR_S 3600
#define DAY_S 86400
#define OUTBOX_AT_ONCE 20000
/* Records whose lot is still open are kept, whatever their age. */
#define DROP_OUTBOX                                                                        \
	"DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE bucket<? AND "      \
	"lot<? AND seq>? AND seq<=? ORDER BY seq LIMIT ?)"

/* The oldest bucket of the span before the limit; -1: none, -2: e. */
static int64_t
oldest(struct store *s, int64_t span, int64_t before, struct err *e)
{
	int64_t bucket = -1;
	sqlite3_stmt *q;
	int rc;

	if (store_prepare(s, &q,
		"SELECT bucket FROM usage WHERE span=? AND bucket<? ORDER BY bucket LIMIT "
		"1",
		e) < 0)
		return -2;
	sqlite3_bind_int64(q, 1, span);
	sqlite3_bind_int64(q, 2, before);
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		bucket = sqlite3_column_int64(q, 0);
	else if (rc != SQLITE_DONE)
		store_fail(s, "cannot be read", e), bucket = -2;
	sqlite3_finalize(q);
	return bucket;
}

static int
run_range(
    struct store *s, const char *sql, int64_t span, int64_t from, int64_t to, struct err *e)
{
	sqlite3_stmt *q;
	int rc;

	if (store_prepare(s, &q, sql, e) < 0)
		return -1;
	sqlite3_bind_int64(q, 1, span);
	sqlite3_bind_int64(q, 2, from);
	sqlite3_bind_int64(q, 3, to);
	rc = store_run(s, q, e);
	sqlite3_finalize(q);
	return rc;
}

/* One larger bucket takes all smaller ones within it. */
static int
roll_up(struct store *s, int64_t small, int64_t large, int64_t before, bool *more,
    struct err *e)
{
	int64_t first = oldest(s, small, before / large * large, e);
	int64_t from = first / large * large;
	char sql[4096];

	if (first < 0)
		return first == -1 ? 0 : -1;
	*more = true;
	snprintf(sql, sizeof(sql),
	    "INSERT INTO usage(span, bucket, account%s) SELECT %lld, %lld, account%s "
	    "FROM usage WHERE span=? AND bucket>=? AND bucket<? GROUP BY account "
	    "ON CONFLICT(span, bucket, account) DO UPDATE SET %s",
	    columns_list, (long long)large, (long long)from, columns_sum, columns_add);
	if (run_range(s, sql, small, from, from + large, e) < 0)
		return -1;
	return run_range(s, "DELETE FROM usage WHERE span=? AND bucket>=? AND bucket<?",
	    small, from, from + large, e);
}

static int
drop_days(struct store *s, int64_t now, bool *more, struct err *e)
{
	int64_t first;

	if (s->spans.days_s == 0)
		return 0;
	first = oldest(s, DAY_S, now - s->spans.days_s - DAY_S, e);
	if (first < 0)
		return first == -1 ? 0 : -1;
	*more = true;
	return run_range(s, "DELETE FROM usage WHERE span=? AND bucket>=? AND bucket<=?",
	    DAY_S, first, first, e);
}

struct range {
	int64_t older_than, above, up_to; /* a bucket; numbers */
};

/* How many; -1: e. */
static int
drop_range(struct store *s, const struct range *r, bool *more, struct err *e)
{
	sqlite3_stmt *q;
	int rc;

	if (store_prepare(s, &q, DROP_OUTBOX, e) < 0)
		return -1;
	sqlite3_bind_int64(q, 1, r->older_than);
	sqlite3_bind_int64(q, 2, (int64_t)s->lot);
	sqlite3_bind_int64(q, 3, r->above);
	sqlite3_bind_int64(q, 4, r->up_to);
	sqlite3_bind_int64(q, 5, OUTBOX_AT_ONCE);
	rc = store_run(s, q, e);
	if (rc == 0)
		rc = sqlite3_changes(s->db);
	sqlite3_finalize(q);
	if (rc >= OUTBOX_AT_ONCE)
		*more = true;
	s->outbox_records -= MAX(rc, 0);
	return rc;
}

/* Where somebody ships, what was not asked beyond yet waits longer. */
static int
drop_outbox(struct store *s, int64_t now, int64_t *unshipped, bool *more, struct err *e)
{
	const int64_t kept = s->spans.outbox_s;
	const struct range shipped = {now - kept, 0, s->shipped};
	const struct range rest = {
	    s->shipped > 0 ? now - STORE_UNSHIPPED * kept : now - kept, s->shipped,
	    INT64_MAX};
	int n;

	if (s->shipped > 0 && drop_range(s, &shipped, more, e) < 0)
		return -1;
	n = drop_range(s, &rest, more, e);
	*unshipped = n;
	return n < 0 ? -1 : 0;
}

void
store_note_shipped(struct store *s, int64_t seq)
{
	int64_t last = 0;
	sqlite3_stmt *q;
	struct err e;

	if (seq <= s->shipped ||
	    store_prepare(s, &q, "SELECT max(seq) FROM outbox", &e) < 0)
		return;
	if (sqlite3_step(q) == SQLITE_ROW)
		last = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	s->shipped = MAX(s->shipped, MIN(seq, last));
}

int
store_age(struct store *s, int64_t now, bool *more, struct err *e)
{
	int64_t unshipped = 0;

	*more = false;
	if (store_begin(s, e) < 0)
		return -1;
	if (roll_up(s, LEDGER_BUCKET_S, HOUR_S, now - s->spans.minutes_s, more, e) < 0 ||
	    roll_up(s, HOUR_S, DAY_S, now - s->spans.hours_s, more, e) < 0 ||
	    drop_days(s, now, more, e) < 0 ||
	    drop_outbox(s, now, &unshipped, more, e) < 0 || store_commit(s, e) < 0) {
		store_rollback(s);
		return -1;
	}
	s->pruned += unshipped;
	return 0;
}
