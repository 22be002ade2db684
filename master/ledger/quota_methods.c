/* quota.set, unset, list and get. SPDX-License-Identifier: MIT */
#include "master/ledger/ledger.h"
#include "master/ledger/quotas.h"

#include <stdio.h>

static json_t *
rule_to_json(const struct quota_rule *r)
{
	return json_pack("{s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:b, s:I}", "account",
	    r->account, "window", quotas_window_name(r->window), "limit_bytes",
	    (json_int_t)r->limit, "action", quotas_action_name(r->action), "rate_bytes",
	    (json_int_t)r->rate, "used", (json_int_t)r->used, "left",
	    (json_int_t)MAX(r->limit - r->used, (int64_t)0), "exceeded",
	    r->used >= r->limit, "until", (json_int_t)r->ends);
}

/* NULL: *f. */
static struct quota_rule *
find(struct ledger *l, const json_t *params, struct fault *f)
{
	const char *account = ledger_param_text(params, "account", "");
	const char *window = ledger_param_text(params, "window", "month");
	int w = quotas_window_parse(window);
	struct quota_rule *r =
	    w < 0 ? NULL : quotas_find(l->quotas, account, (enum when_unit)w);

	if (r == NULL)
		ledger_refuse(f, "not_found",
		    "account %s has no quota for the window %s (quota.list)", account,
		    window);
	return r;
}

static json_t *
refuse_store(const struct err *e, struct fault *f)
{
	return ledger_refuse(
	    f, "failed_precondition", "the ledger cannot be used: %s", e->text);
}

json_t *
ledger_quota_set(struct ledger *l, const json_t *params, struct fault *f)
{
	const char *account = ledger_param_text(params, "account", "");
	int window = quotas_window_parse(ledger_param_text(params, "window", "month"));
	int action = quotas_action_parse(ledger_param_text(params, "action", "log"));
	struct quota_rule rule = {.limit = ledger_param_int(params, "limit_bytes", 0),
	    .rate = ledger_param_int(params, "rate_bytes", 0)};
	struct err e;

	if (strlen(account) == 0 || strlen(account) > ACCT_KEY_MAX)
		return ledger_refuse_param(f, "account", "1 to 64 bytes", "quota.set");
	if (window < 0)
		return ledger_refuse_param(f, "window", "hour, day or month", "quota.set");
	if (action < 0)
		return ledger_refuse_param(
		    f, "action", "log, throttle or deny", "quota.set");
	if (action == QUOTA_DO_THROTTLE && rule.rate <= 0)
		return ledger_refuse_param(
		    f, "rate_bytes", "given, with the action throttle", "quota.set");
	rule.window = (enum when_unit)window;
	rule.action = (enum quota_action)action;
	snprintf(rule.account, sizeof(rule.account), "%s", account);
	/* With what was counted up to now. */
	if (ledger_flush(l, false) < 0)
		return ledger_refuse(
		    f, "failed_precondition", "the ledger cannot be written: %s", l->why);
	if (quotas_set(l->quotas, &l->store, &rule, (int64_t)ledger_now(), &e) < 0)
		return e.text[0] ? refuse_store(&e, f)
				 : ledger_refuse(f, "too_large",
				       "there are %d quotas already", QUOTAS_MAX);
	/* Tells what it finds reached already. */
	(void)!ledger_flush(l, false);
	return rule_to_json(quotas_find(l->quotas, account, (enum when_unit)window));
}

json_t *
ledger_quota_unset(struct ledger *l, const json_t *params, struct fault *f)
{
	struct quota_rule *r = find(l, params, f);
	json_t *v;
	struct err e;

	if (r == NULL)
		return NULL;
	v = rule_to_json(r);
	if (quotas_unset(l->quotas, &l->store, r, &e) < 0) {
		json_decref(v);
		return refuse_store(&e, f);
	}
	(void)!quotas_tick(l->quotas);
	return v;
}

json_t *
ledger_quota_get(struct ledger *l, const json_t *params, struct fault *f)
{
	struct quota_rule *r = find(l, params, f);

	return r ? rule_to_json(r) : NULL;
}

json_t *
ledger_quota_list(struct ledger *l, const json_t *params, struct fault *f)
{
	const char *account = ledger_param_text(params, "account", NULL);
	json_t *list = json_array();

	(void)f;
	for (size_t i = 0; i < l->quotas->n; i++)
		if (account == NULL || strcmp(account, l->quotas->v[i].account) == 0)
			json_array_append_new(list, rule_to_json(&l->quotas->v[i]));
	return json_pack("{s:o}", "quotas", list);
}
