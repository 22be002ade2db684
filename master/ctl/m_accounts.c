/* accounts.list, metrics.accounts: sums per account out of shared memory, also of workers
 * that are gone. SPDX-License-Identifier: MIT */
#include "common/strlist.h"
#include "master/ctl/ctl.h"
#include "master/ctl/facts.h"
#include "master/ctl/server.h"
#include "master/master.h"
#include "master/minder.h"

#define LIMIT_DEFAULT 100

static uint64_t
bytes_out(const struct account *a)
{
	return a->value[ACCT_out_head] + a->value[ACCT_out_body] +
	       a->value[ACCT_out_framing];
}

static int
by_bytes(const void *left, const void *right)
{
	const struct account *const *l = left, *const *r = right;
	uint64_t a = bytes_out(*l), b = bytes_out(*r);

	return a < b ? 1 : a > b ? -1 : strcmp((*l)->name, (*r)->name);
}

static json_t *
account_to_json(const struct account *a, bool as_text)
{
	json_t *v = json_pack("{s:s}", "account", a->name);

	for (int i = 0; i < ACCT_COLUMNS; i++)
		json_object_set_new(
		    v, accounts_columns[i].name, facts_number(a->value[i], as_text));
	return v;
}

int
ctl_accounts_list(struct ctl_call *call)
{
	struct master *m = call->master;
	const struct accounts *all = &m->accounts;
	const size_t limit = (size_t)ctl_param_int(call, "limit", LIMIT_DEFAULT);
	const bool as_text = strcmp(ctl_param_str(call, "bigint", "number"), "string") == 0;
	const struct account **order;
	json_t *list = json_array();
	size_t n = 0;

	minder_look_at_accounts(m->minder);
	order = malloc(all->n * sizeof(*order));
	if (order == NULL) {
		json_decref(list);
		return ctl_fail(call, CTL_E_OVERLOADED, NULL, "out of memory");
	}
	/* Names of the server's own that nothing was counted for are no accounts. */
	for (uint32_t i = 0; i < all->n; i++)
		if (all->v[i].name[0] != '~' || all->v[i].value[ACCT_requests] > 0)
			order[n++] = &all->v[i];
	qsort(order, n, sizeof(struct account *), by_bytes);
	for (size_t i = 0; i < MIN(n, limit); i++)
		json_array_append_new(list, account_to_json(order[i], as_text));
	free(order);
	return ctl_reply(
	    call, json_pack("{s:o, s:I, s:o}", "accounts", list, "total", (json_int_t)n,
		      "overflowed", facts_number(all->overflowed, as_text)));
}

static void
add(uint64_t *to, const struct account *a)
{
	for (int i = 0; i < ACCT_COLUMNS; i++)
		to[i] += a->value[i];
}

static uint64_t
sum_of(const uint64_t *value, const int *columns, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += value[columns[i]];
	return sum;
}

static json_t *
sums_to_json(const char *name, const uint64_t *value, uint64_t billed)
{
	static const int out[] = {
	    ACCT_out_head, ACCT_out_body, ACCT_out_framing, ACCT_out_tls};
	static const int in[] = {ACCT_in_head, ACCT_in_body, ACCT_in_framing, ACCT_in_tls};

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "account", name,
	    "billable_bytes", (json_int_t)billed, "requests",
	    (json_int_t)value[ACCT_requests], "aborted", (json_int_t)value[ACCT_aborted],
	    "sent_bytes", (json_int_t)sum_of(value, out, ARRAY_LEN(out)), "received_bytes",
	    (json_int_t)sum_of(value, in, ARRAY_LEN(in)), "undelivered_bytes",
	    (json_int_t)value[ACCT_out_undelivered], "uncertain_bytes",
	    (json_int_t)value[ACCT_uncertain], "throttled",
	    (json_int_t)value[ACCT_throttled]);
}

/* Beside the accounts that were named, those that are nobody's. shown: with commas, which
 * of the named ones the peer may see; NULL: all. */
static bool
has_series(const struct strlist *names, const char *shown, const char *name)
{
	return names->n > 0 &&
	       ((strlist_has(names, name) && ctl_roles_show(shown, name, strlen(name))) ||
		   strcmp(name, ACCT_NAME_NONE) == 0 ||
		   strcmp(name, ACCT_NAME_OVERFLOW) == 0);
}

/* A fixed list of names: were it the largest ones of the moment, ~other would go backwards
 * whenever one of its accounts grew out of it. */
int
ctl_metrics_accounts(struct ctl_call *call)
{
	struct master *m = call->master;
	const struct strlist *names = &master_conf(m)->metrics_account;
	const char *shown = ctl_roles_accounts(&call->ctl->roles, &call->peer);
	struct accounts *all = &m->accounts;
	uint64_t billed = 0, billed_other = 0, overflow = 0;
	uint64_t total[ACCT_COLUMNS] = {0}, other[ACCT_COLUMNS] = {0};
	json_t *list = json_array();

	minder_look_at_accounts(m->minder);
	for (uint32_t i = 0; i < all->n; i++) {
		struct account *a = &all->v[i];
		uint64_t its = accounts_billed(a);

		add(total, a);
		billed += its;
		if (strcmp(a->name, ACCT_NAME_OVERFLOW) == 0)
			overflow = its;
		if (has_series(names, shown, a->name)) {
			json_array_append_new(list, sums_to_json(a->name, a->value, its));
		} else {
			add(other, a);
			billed_other += its;
		}
	}
	if (names->n > 0)
		json_array_append_new(
		    list, sums_to_json(ACCOUNTS_OTHER, other, billed_other));
	return ctl_reply(call,
	    json_pack("{s:o, s:o, s:I, s:I, s:I}", "accounts", list, "total",
		sums_to_json("", total, billed), "known", (json_int_t)all->n, "overflowed",
		(json_int_t)all->overflowed, "overflow_bytes", (json_int_t)overflow));
}
