/* accounting.* and quota.*: asked of the ledger, answered when it answers.
 * SPDX-License-Identifier: MIT */
#include "master/books.h"
#include "master/ctl/server.h"
#include "master/master.h"

/* A flush on a slow disk comes first; what is to be changed waits for it. Who only looks is
 * told soon. */
#define CHANGE_MS 30000
#define LOOK_MS 4000
/* Silent for longer, it is not asked any more: less than the one before waited. */
#define SILENT_MS 3000
#define RETRY_MS 1000

static enum ctl_kind
find_kind(const char *name)
{
	for (unsigned i = 0; i < CTL_KINDS; i++)
		if (name != NULL && strcmp(ctl_errors[i].kind, name) == 0)
			return (enum ctl_kind)i;
	return CTL_E_INTERNAL;
}

static void
on_answer(void *ctx, json_t *result, json_t *error)
{
	struct ctl_call *call = ctx;
	const char *kind = json_string_value(json_object_get(error, "kind"));
	const char *message = json_string_value(json_object_get(error, "message"));

	if (result != NULL)
		ctl_reply(call, json_incref(result));
	else
		ctl_fail(call, find_kind(kind), json_incref(json_object_get(error, "data")),
		    "%s", message ? message : "the ledger does not say why");
}

static void
on_end(struct ctl_call *call)
{
	books_forget(call->master->books, call);
}

/* params is stolen. */
static int
ask(struct ctl_call *call, json_t *params)
{
	struct books *b = call->master->books;
	struct err e;

	if (b == NULL) {
		json_decref(params);
		return ctl_fail(call, CTL_E_UNSUPPORTED,
		    json_pack("{s:s}", "feature", "ledger"),
		    "this instance keeps no ledger; start it with --ledger FILE");
	}
	if (!call->method->audit && books_silent_ms(b) > SILENT_MS) {
		json_decref(params);
		return ctl_fail(call, CTL_E_OVERLOADED,
		    json_pack("{s:i}", "retry_ms", RETRY_MS),
		    "the ledger has not answered for %lld s: its disk is slow, or it is "
		    "stopped; one that goes on like this is started again",
		    (long long)books_silent_ms(b) / 1000);
	}
	call->late = "got no answer from the ledger: its disk is slow, or it is stopped; "
		     "try again";
	if (books_request(b, call->method->name, params, on_answer, call, &e) < 0)
		return ctl_fail(call, CTL_E_OVERLOADED,
		    json_pack("{s:i}", "retry_ms", RETRY_MS),
		    "%s; it is started again, try again", e.text);
	return ctl_defer(call, call->method->audit ? CHANGE_MS : LOOK_MS, on_end, NULL);
}

#define PASS_ON(ident)                                                                     \
	int ctl_##ident(struct ctl_call *call)                                             \
	{                                                                                  \
		return ask(call, json_copy(call->params));                                 \
	}
PASS_ON(accounting_status)
PASS_ON(accounting_flush)
PASS_ON(accounting_export)
PASS_ON(quota_set)
PASS_ON(quota_unset)
PASS_ON(quota_list)
PASS_ON(quota_get)

int
ctl_accounting_adjust(struct ctl_call *call)
{
	json_t *params = json_copy(call->params);

	json_object_set_new(params, "uid", json_integer((json_int_t)call->peer.uid));
	return ask(call, params);
}

/* "a,b" as a list. */
static json_t *
split(const char *accounts)
{
	json_t *list = json_array();

	while (*accounts != '\0') {
		size_t n = strcspn(accounts, ",");

		if (n > 0)
			json_array_append_new(list, json_stringn(accounts, n));
		accounts += n + (accounts[n] == ',');
	}
	return list;
}

static bool
has(const json_t *list, const json_t *name)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_equal(json_array_get(list, i), name))
			return true;
	return false;
}

/* Who has a rule with accounts in --control-role sees those and no others. */
int
ctl_accounting_query(struct ctl_call *call)
{
	const char *accounts = ctl_roles_accounts(&call->ctl->roles, &call->peer);
	json_t *params = json_copy(call->params);
	const json_t *asked = json_object_get(params, "accounts");
	json_t *allowed;

	if (call->peer.anonymous) {
		json_decref(params);
		return ctl_fail(call, CTL_E_PERMISSION_DENIED,
		    json_pack("{s:s}", "needs", "operator"),
		    "accounts are shown on the control socket, or to the bearer of the "
		    "token");
	}
	if (accounts == NULL)
		return ask(call, params);
	allowed = split(accounts);
	for (size_t i = 0; i < json_array_size(asked); i++) {
		if (has(allowed, json_array_get(asked, i)))
			continue;
		json_decref(params);
		json_decref(allowed);
		return ctl_fail(call, CTL_E_PERMISSION_DENIED,
		    json_pack("{s:s, s:s}", "role", ctl_role_name(call->peer.role), "param",
			"accounts"),
		    "you may not see this account (--control-role)");
	}
	if (asked == NULL)
		json_object_set(params, "accounts", allowed);
	json_decref(allowed);
	return ask(call, params);
}
