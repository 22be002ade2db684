/* session.whoami and lower, schema.get. SPDX-License-Identifier: MIT */
#include "master/ctl/facts.h"
#include "master/ctl/server.h"

#include <stdio.h>

int
ctl_session_whoami(struct ctl_call *call)
{
	const struct ctl_peer *p = &call->peer;
	json_t *groups = json_array();

	for (size_t i = 0; i < p->n_groups; i++)
		json_array_append_new(groups, json_integer((json_int_t)p->groups[i]));
	return ctl_reply(call,
	    json_pack("{s:I, s:I, s:o, s:I, s:s, s:s}", "uid", (json_int_t)p->uid, "gid",
		(json_int_t)p->gid, "groups", groups, "pid", (json_int_t)p->pid, "comm",
		p->comm, "role", ctl_role_name(call->conn->peer.role)));
}

int
ctl_session_lower(struct ctl_call *call)
{
	enum ctl_role to = ctl_role_parse(ctl_param_str(call, "role", ""));
	enum ctl_role now = call->conn->peer.role;

	if (to > now)
		return ctl_fail(call, CTL_E_PERMISSION_DENIED,
		    json_pack("{s:s, s:s}", "role", ctl_role_name(now), "needs",
			ctl_role_name(to)),
		    "rights can only be given up: the role is %s already",
		    ctl_role_name(now));
	call->conn->peer.role = to;
	return ctl_reply(call, json_pack("{s:s}", "role", ctl_role_name(to)));
}

/* "a|b" as ["a","b"]. */
static json_t *
words_json(const char *words)
{
	json_t *list = json_array();

	while (*words != '\0') {
		size_t n = strcspn(words, "|");

		json_array_append_new(list, json_stringn(words, n));
		words += n;
		words += *words == '|';
	}
	return list;
}

static const char *const schema_types[] = {
    [CTL_T_STRING] = "string",
    [CTL_T_INTEGER] = "integer",
    [CTL_T_NUMBER] = "number",
    [CTL_T_BOOLEAN] = "boolean",
    [CTL_T_STRINGS] = "string",
    [CTL_T_INTEGERS] = "integer",
};

/* As JSON Schema. */
static json_t *
param_json(const struct ctl_param *p)
{
	bool array = p->type == CTL_T_STRINGS || p->type == CTL_T_INTEGERS;
	bool text = p->type == CTL_T_STRING || p->type == CTL_T_STRINGS;
	json_t *v = json_pack("{s:s}", "type", schema_types[p->type]);
	json_t *whole = v;

	if (p->words != NULL) {
		json_object_set_new(v, "enum", words_json(p->words));
	} else if (p->type != CTL_T_BOOLEAN) {
		json_object_set_new(
		    v, text ? "minLength" : "minimum", json_integer(p->min));
		json_object_set_new(
		    v, text ? "maxLength" : "maximum", json_integer(p->max));
	}
	if (array)
		whole = json_pack("{s:s, s:i, s:o}", "type", "array", "maxItems",
		    CTL_LIST_MAX, "items", v);
	json_object_set_new(whole, "description", json_string(p->help));
	return whole;
}

static json_t *
method_json(const struct ctl_method *m)
{
	json_t *properties = json_object(), *required = json_array();

	for (size_t i = 0; i < ctl_n_params; i++) {
		const struct ctl_param *p = &ctl_params[i];

		if (&ctl_methods[p->method] != m)
			continue;
		json_object_set_new(properties, p->name, param_json(p));
		if (p->required)
			json_array_append_new(required, json_string(p->name));
	}
	return json_pack("{s:s, s:s, s:i, s:s, s:{s:s, s:o, s:o, s:b}}", "method", m->name,
	    "role", ctl_role_name(m->role), "since", (int)m->since, "help", m->help,
	    "params", "type", "object", "properties", properties, "required", required,
	    "additionalProperties", 0);
}

static const struct {
	const char *name, *help;
} event_types[] = {
#define EVENT(ident, name, repeats, text) {name, text},
#include "common/events.def"
#undef EVENT
};

static json_t *
whole_schema(void)
{
	json_t *methods = json_array(), *events = json_array(), *errors = json_array();

	for (size_t i = 0; i < CTL_METHODS; i++)
		json_array_append_new(methods, method_json(&ctl_methods[i]));
	for (size_t i = 0; i < ARRAY_LEN(event_types); i++)
		json_array_append_new(
		    events, json_pack("{s:s, s:s}", "type", event_types[i].name, "help",
				event_types[i].help));
	for (size_t i = 0; i < CTL_KINDS; i++)
		json_array_append_new(
		    errors, json_pack("{s:i, s:s, s:i, s:s}", "code", ctl_errors[i].code,
				"kind", ctl_errors[i].kind, "http", ctl_errors[i].http,
				"data", ctl_errors[i].data));
	return json_pack("{s:i, s:i, s:o, s:o, s:o, s:o}", "api", CTL_API, "minor",
	    CTL_MINOR, "methods", methods, "events", events, "errors", errors, "stats",
	    facts_stats_schema());
}

int
ctl_schema_get(struct ctl_call *call)
{
	const char *name = ctl_param_str(call, "method", NULL);
	const struct ctl_method *m = name ? ctl_table_find(name) : NULL;
	const char *near;
	json_t *data;

	if (name == NULL)
		return ctl_reply(call, whole_schema());
	if (m != NULL)
		return ctl_reply(call, method_json(m));
	near = ctl_table_nearest(name);
	data = json_pack("{s:s}", "what", name);
	if (near != NULL)
		json_object_set_new(data, "did_you_mean", json_string(near));
	return ctl_fail(call, CTL_E_NOT_FOUND, data, "there is no method %.100s%s%s", name,
	    near ? "; did you mean " : "", near ? near : "");
}
