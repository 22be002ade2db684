/* Quotas: kept in the store, counted here, published to the workers.
 * SPDX-License-Identifier: MIT */
#include "master/ledger/quotas.h"

#include "common/log.h"
#include "master/ledger/columns.h"
#include "master/ledger/ledger.h"

#include <stdio.h>

static const char *const window_names[] = {
    [WHEN_HOUR] = "hour", [WHEN_DAY] = "day", [WHEN_MONTH] = "month"};
static const char *const action_names[QUOTA_ACTIONS] = {
    [QUOTA_DO_LOG] = "log", [QUOTA_DO_THROTTLE] = "throttle", [QUOTA_DO_DENY] = "deny"};

static int
find_word(const char *const *words, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], word) == 0)
			return (int)i;
	return -1;
}

const char *
quotas_window_name(enum when_unit window)
{
	return window_names[window];
}

const char *
quotas_action_name(enum quota_action action)
{
	return action_names[action];
}

int
quotas_window_parse(const char *name)
{
	return find_word(window_names, ARRAY_LEN(window_names), name);
}

int
quotas_action_parse(const char *name)
{
	return find_word(action_names, ARRAY_LEN(action_names), name);
}

size_t
quotas_number(const struct quotas *qs)
{
	return qs->n;
}

struct quota_rule *
quotas_find(struct quotas *qs, const char *account, enum when_unit window)
{
	for (size_t i = 0; i < qs->n; i++)
		if (qs->v[i].window == window && strcmp(qs->v[i].account, account) == 0)
			return &qs->v[i];
	return NULL;
}

/* ---- Counting ---- */

void
quotas_count(struct quotas *qs, const char *account, int64_t bucket, int64_t bytes)
{
	for (size_t i = 0; i < qs->n; i++) {
		struct quota_rule *r = &qs->v[i];

		if (bucket >= r->begins && bucket < r->ends &&
		    strcmp(r->account, account) == 0) {
			r->used += bytes;
			qs->changed = true;
		}
	}
}

static void
open_window(struct quota_rule *r, int64_t now)
{
	r->begins = when_floor(now, r->window);
	r->ends = when_next(now, r->window);
	r->used = 0;
	r->reached = r->kept = r->told = 0;
}

static int
sum_window(struct store *s, struct quota_rule *r, struct err *e)
{
	sqlite3_stmt *q;
	char sql[256];
	int rc;

	snprintf(sql, sizeof(sql),
	    "SELECT total(%s) FROM usage WHERE bucket>=? AND bucket<? AND account=?",
	    columns_billable);
	if (store_prepare(s, &q, sql, e) < 0)
		return -1;
	sqlite3_bind_int64(q, 1, r->begins);
	sqlite3_bind_int64(q, 2, r->ends);
	sqlite3_bind_text(q, 3, r->account, -1, SQLITE_STATIC);
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		r->used = (int64_t)sqlite3_column_double(q, 0);
	else
		store_fail(s, "cannot be read", e);
	sqlite3_finalize(q);
	return rc == SQLITE_ROW ? 0 : -1;
}

/* ---- What the workers see ---- */

static enum quota_state
state_of(const struct quota_rule *r)
{
	static const enum quota_state beyond[QUOTA_ACTIONS] = {
	    [QUOTA_DO_LOG] = QUOTA_WARN,
	    [QUOTA_DO_THROTTLE] = QUOTA_THROTTLE,
	    [QUOTA_DO_DENY] = QUOTA_DENY,
	};

	if (r->used >= r->limit)
		return beyond[r->action];
	return r->used >= r->limit / 100 * QUOTAS_WARN_PERCENT ? QUOTA_WARN : QUOTA_OK;
}

static double
ratio_of(const struct quota_rule *r)
{
	return (double)r->used / (double)r->limit;
}

/* Of those that limit, the one that does so for longer; else the one that is used more. */
static bool
is_worse(const struct quota_rule *a, const struct quota_rule *b)
{
	if (state_of(a) != state_of(b))
		return state_of(a) > state_of(b);
	return state_of(a) >= QUOTA_THROTTLE ? a->ends > b->ends
					     : ratio_of(a) > ratio_of(b);
}

/* An account with several windows gets the worst of them. */
static bool
is_worst(const struct quotas *qs, size_t i)
{
	const struct quota_rule *r = &qs->v[i];

	for (size_t k = 0; k < qs->n; k++) {
		const struct quota_rule *o = &qs->v[k];

		if (k == i || strcmp(o->account, r->account) != 0)
			continue;
		if (is_worse(o, r) || (!is_worse(r, o) && k < i))
			return false;
	}
	return true;
}

static void
publish(struct quotas *qs)
{
	quota_begin(&qs->table);
	for (size_t i = 0; i < qs->n; i++) {
		const struct quota_rule *r = &qs->v[i];
		struct quota_view view = {state_of(r), (uint64_t)r->limit,
		    (uint64_t)MAX(r->used, (int64_t)0), (uint64_t)r->rate,
		    (uint64_t)r->ends};

		if (is_worst(qs, i))
			(void)quota_add(&qs->table, r->account, strlen(r->account), &view);
	}
	quota_publish(&qs->table);
	qs->changed = false;
}

static unsigned
level_of(const struct quota_rule *r)
{
	return r->used >= r->limit ? 2 : state_of(r) == QUOTA_WARN ? 1 : 0;
}

static void
tell(struct quota_rule *r, struct ledger *l)
{
	const unsigned level = r->reached;

	if (level <= r->told)
		return;
	r->told = level;
	if (level == 2)
		l->counts.count[LEDGER_quota_log + r->action]++;
	log_warn("ledger", level == 2 ? "quota exceeded" : "quota nearly used up",
	    "account=\"%s\" window=%s used=%lld limit=%lld action=%s", r->account,
	    window_names[r->window], (long long)r->used, (long long)r->limit,
	    action_names[r->action]);
	ledger_event(l, level == 2 ? "quota.exceeded" : "quota.warning",
	    json_pack("{s:s, s:s, s:I, s:I, s:s, s:I}", "account", r->account, "window",
		window_names[r->window], "used", (json_int_t)r->used, "limit_bytes",
		(json_int_t)r->limit, "action", action_names[r->action], "until",
		(json_int_t)r->ends));
}

void
quotas_roll(struct quotas *qs, struct store *s, int64_t now)
{
	struct err e;

	for (size_t i = 0; i < qs->n; i++) {
		struct quota_rule *r = &qs->v[i];

		/* Also back: a clock that was set finds its window again. */
		if (now < r->ends && now >= r->begins)
			continue;
		open_window(r, now);
		if (sum_window(s, r, &e) < 0)
			r->used = 0;
		qs->changed = true;
	}
}

static int write_rule(struct store *s, const struct quota_rule *r, struct err *e);

bool
quotas_tick(struct quotas *qs)
{
	bool kept = true;

	for (size_t i = 0; i < qs->n; i++) {
		struct quota_rule *r = &qs->v[i];

		r->reached = MAX(r->reached, level_of(r));
		kept &= r->kept == r->reached;
	}
	if (qs->changed)
		publish(qs);
	return kept;
}

void
quotas_tell(struct quotas *qs, struct ledger *l)
{
	for (size_t i = 0; i < qs->n; i++)
		tell(&qs->v[i], l);
}

int
quotas_put(struct quotas *qs, struct store *s, struct err *e)
{
	for (size_t i = 0; i < qs->n; i++)
		if (qs->v[i].kept != qs->v[i].reached && write_rule(s, &qs->v[i], e) < 0)
			return -1;
	return 0;
}

void
quotas_settle(struct quotas *qs)
{
	for (size_t i = 0; i < qs->n; i++)
		qs->v[i].kept = qs->v[i].reached;
}

/* ---- In the store ---- */

static int
write_rule(struct store *s, const struct quota_rule *r, struct err *e)
{
	sqlite3_stmt *q;
	int rc;

	if (store_prepare(s, &q,
		"INSERT OR REPLACE INTO quota(account, window, limit_bytes, action, "
		"rate_bytes, reached, reached_in) VALUES(?, ?, ?, ?, ?, ?, ?)",
		e) < 0)
		return -1;
	sqlite3_bind_text(q, 1, r->account, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, window_names[r->window], -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, r->limit);
	sqlite3_bind_text(q, 4, action_names[r->action], -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 5, r->rate);
	sqlite3_bind_int64(q, 6, r->reached);
	sqlite3_bind_int64(q, 7, r->begins);
	rc = store_run(s, q, e);
	sqlite3_finalize(q);
	return rc;
}

/* now: of which window it is to be known what was reached. */
static bool
read_rule(sqlite3_stmt *q, struct quota_rule *r, int64_t now)
{
	const char *account = (const char *)sqlite3_column_text(q, 0);
	const char *window = (const char *)sqlite3_column_text(q, 1);
	const char *action = (const char *)sqlite3_column_text(q, 3);
	int w = quotas_window_parse(window ? window : "");
	int a = quotas_action_parse(action ? action : "");

	if (account == NULL || strlen(account) > ACCT_KEY_MAX || w < 0 || a < 0 ||
	    sqlite3_column_int64(q, 2) <= 0)
		return false;
	*r = (struct quota_rule){.window = (enum when_unit)w,
	    .action = (enum quota_action)a,
	    .limit = sqlite3_column_int64(q, 2),
	    .rate = sqlite3_column_int64(q, 4)};
	snprintf(r->account, sizeof(r->account), "%s", account);
	open_window(r, now);
	if (sqlite3_column_int64(q, 6) == r->begins)
		r->reached = r->kept = r->told = (unsigned)sqlite3_column_int(q, 5) % 3;
	return true;
}

int
quotas_load(struct quotas *qs, struct store *s, int64_t now, struct err *e)
{
	sqlite3_stmt *q;
	int rc;

	if (store_prepare(s, &q,
		"SELECT account, window, limit_bytes, action, rate_bytes, reached, "
		"reached_in FROM quota",
		e) < 0)
		return -1;
	qs->n = 0;
	while ((rc = sqlite3_step(q)) == SQLITE_ROW && qs->n < QUOTAS_MAX)
		if (read_rule(q, &qs->v[qs->n], now))
			qs->n++;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		store_fail(s, "cannot be read", e);
	sqlite3_finalize(q);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return -1;
	qs->changed = true;
	for (size_t i = 0; i < qs->n; i++)
		if (sum_window(s, &qs->v[i], e) < 0)
			return -1;
	return 0;
}

int
quotas_save(struct quotas *qs, struct store *s, struct err *e)
{
	for (size_t i = 0; i < qs->n; i++)
		if (write_rule(s, &qs->v[i], e) < 0)
			return -1;
	return 0;
}

int
quotas_set(struct quotas *qs, struct store *s, const struct quota_rule *rule, int64_t now,
    struct err *e)
{
	struct quota_rule *r = quotas_find(qs, rule->account, rule->window);
	struct quota_rule made = *rule;

	e->text[0] = '\0';
	if (r == NULL && qs->n == QUOTAS_MAX)
		return -1;
	open_window(&made, now);
	if (sum_window(s, &made, e) < 0 || write_rule(s, &made, e) < 0)
		return -1;
	if (r == NULL)
		r = &qs->v[qs->n++];
	*r = made;
	qs->changed = true;
	return 0;
}

int
quotas_unset(struct quotas *qs, struct store *s, struct quota_rule *rule, struct err *e)
{
	sqlite3_stmt *q;
	int rc;

	if (store_prepare(s, &q, "DELETE FROM quota WHERE account=? AND window=?", e) < 0)
		return -1;
	sqlite3_bind_text(q, 1, rule->account, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, window_names[rule->window], -1, SQLITE_STATIC);
	rc = store_run(s, q, e);
	sqlite3_finalize(q);
	if (rc < 0)
		return -1;
	*rule = qs->v[--qs->n];
	qs->changed = true;
	return 0;
}

struct quotas *
quotas_create(int dir_fd, int table_fd, struct err *e)
{
	struct quotas *qs = calloc(1, sizeof(*qs));
	AUTO_FD int own = table_fd < 0 ? quota_file(dir_fd, true, e) : -1;
	const int fd = table_fd < 0 ? own : table_fd;

	if (qs == NULL) {
		err_set(e, "out of memory");
		return NULL;
	}
	qs->v = calloc(QUOTAS_MAX, sizeof(*qs->v));
	if (qs->v == NULL || fd < 0 || quota_open(&qs->table, fd, true, e) < 0) {
		quotas_destroy(qs);
		return NULL;
	}
	return qs;
}

void
quotas_destroy(struct quotas *qs)
{
	if (qs == NULL)
		return;
	quota_close(&qs->table);
	free(qs->v);
	free(qs);
}
