/* What /metrics tells of accounting, as far as the master knows it without asking the
 * ledger: a scrape must not wait for a disk. SPDX-License-Identifier: MIT */
#include "common/strlist.h"
#include "master/accounts.h"
#include "master/books.h"
#include "master/books_sums.h"
#include "master/ctl/ctl.h"
#include "master/ctl/facts.h"
#include "master/ctl/server.h"
#include "master/master.h"

#include <stdio.h>

static json_t *
make_rows(const struct fleet *f)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < FLEET_MAX; i++) {
		const struct proc *p = f->slots[i] ? f->slots[i]->serving : NULL;

		if (p != NULL && p->accounts.acct.head != NULL)
			json_array_append_new(
			    list, json_pack("{s:I, s:I, s:I}", "worker", (json_int_t)i,
				      "rows", (json_int_t)acct_used(&p->accounts.acct),
				      "rows_limit", (json_int_t)p->accounts.acct.rows));
	}
	return list;
}

/* Quotas as far as their accounts may be seen. */
struct quota_list {
	json_t *v;
	const struct strlist
	    *named;           /* --metrics-account: whoever reads /metrics sees them */
	const char *accounts; /* with commas; NULL: all */
	double others;        /* the highest ratio of those not named; -1: none */
};

static void
put_quota(json_t *list, const char *key, size_t n, double ratio)
{
	json_array_append_new(
	    list, json_pack("{s:s%, s:f}", "account", key, n, "used_ratio", ratio));
}

static void
add_quota(void *ctx, const char *key, size_t n, const struct quota_view *view)
{
	struct quota_list *list = ctx;
	const double ratio = view->limit ? (double)view->used / (double)view->limit : 0.0;
	char name[ACCT_KEY_MAX + 1];

	if (!ctl_roles_show(list->accounts, key, n))
		return;
	snprintf(name, sizeof(name), "%.*s", (int)n, key);
	if (strlist_has(list->named, name))
		put_quota(list->v, key, n, ratio);
	else
		list->others = MAX(list->others, ratio);
}

static json_t *
make_quotas(const struct master *m, const char *accounts)
{
	const struct quota *q = books_quotas(m->books);
	struct quota_list list = {
	    json_array(), &master_conf(m)->metrics_account, accounts, -1};

	/* Exchanged once a second: twice in a row it does not happen. */
	if (!quota_each(q, add_quota, &list)) {
		json_array_clear(list.v);
		list.others = -1;
		(void)quota_each(q, add_quota, &list);
	}
	if (list.others >= 0)
		put_quota(list.v, ACCOUNTS_OTHER, strlen(ACCOUNTS_OTHER), list.others);
	return list.v;
}

static json_t *
make_members(const struct ledger_counts *c, const char *const *names,
    const enum ledger_count *counts, size_t n)
{
	json_t *v = json_object();

	for (size_t i = 0; i < n; i++)
		json_object_set_new(
		    v, names[i], json_integer((json_int_t)c->count[counts[i]]));
	return v;
}

static json_t *
make_flushes(const struct ledger_counts *c)
{
	static const char *const names[] = {"ok", "full", "io", "busy"};
	static const enum ledger_count counts[] = {
	    LEDGER_flushes_ok, LEDGER_flushes_full, LEDGER_flushes_io, LEDGER_flushes_busy};

	return make_members(c, names, counts, ARRAY_LEN(names));
}

static json_t *
make_actions(const struct ledger_counts *c)
{
	static const char *const names[] = {"log", "throttle", "deny"};
	static const enum ledger_count counts[] = {
	    LEDGER_quota_log, LEDGER_quota_throttle, LEDGER_quota_deny};

	return make_members(c, names, counts, ARRAY_LEN(names));
}

static json_t *
make_ledger(const struct master *m, const char *accounts)
{
	const struct books_sums *s = books_sums(m->books);
	struct ledger_counts all;

	if (s == NULL)
		return json_null();
	all = s->gone;
	ledger_counts_add(&all, &s->now);
	return json_pack("{s:o, s:o, s:{s:o, s:f}, s:I, s:I, s:f, s:I, s:I, s:I, s:o}",
	    "flushes", make_flushes(&all), "quota_actions", make_actions(&all),
	    "flush_duration", "classic", facts_classes(all.classes), "sum_s",
	    (double)all.count[LEDGER_flush_us] / 1e6, "late_bytes",
	    (json_int_t)all.count[LEDGER_late_bytes], "pruned_records",
	    (json_int_t)all.count[LEDGER_pruned_records], "lag_s",
	    MAX(ctl_now() - s->complete_until, 0.0), "database_bytes", s->database_bytes,
	    "outbox_records", s->outbox_records, "disk_free_bytes", s->disk_free_bytes,
	    "quotas", make_quotas(m, accounts));
}

json_t *
facts_accounting(const struct master *m, const char *accounts)
{
	return json_pack(
	    "{s:o, s:o}", "rows", make_rows(&m->fleet), "ledger", make_ledger(m, accounts));
}
