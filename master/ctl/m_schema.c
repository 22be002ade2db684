/* schema.get: the methods with their parameters and results as JSON Schema, event types,
 * kinds of errors, counters. SPDX-License-Identifier: MIT */
#include "master/ctl/facts.h"
#include "master/ctl/server.h"

#include <stdio.h>

static const char *const results[CTL_METHODS] = {
#define RESULT(method, members) [CTL_M_##method] = members,
#include "common/ctl_results.def"
#undef RESULT
};

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

/* "integer", "object[]", "string|null", "any". */
static json_t *
type_json(const char *p, size_t n)
{
	json_t *types;

	if (n > 2 && memcmp(p + n - 2, "[]", 2) == 0)
		return json_pack(
		    "{s:s, s:o}", "type", "array", "items", type_json(p, n - 2));
	if (n == 3 && memcmp(p, "any", 3) == 0)
		return json_object();
	if (memchr(p, '|', n) == NULL)
		return json_pack("{s:s%}", "type", p, n);
	types = json_array();
	for (const char *end = p + n; p < end;) {
		const char *bar = memchr(p, '|', (size_t)(end - p));
		const char *stop = bar != NULL ? bar : end;

		json_array_append_new(types, json_stringn(p, (size_t)(stop - p)));
		p = stop + 1;
	}
	return json_pack("{s:o}", "type", types);
}

/* As JSON Schema; other members are allowed. NULL: nothing is promised. */
static json_t *
result_json(const char *members)
{
	json_t *properties = json_object(), *required = json_array();

	for (const char *p = members != NULL ? members : ""; *p != '\0'; p += *p == ' ') {
		size_t n = strcspn(p, "?:");
		bool always = p[n] == ':';
		const char *type = p + n + (always ? 1 : 2);
		char name[64];

		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		n = strcspn(type, " ");
		json_object_set_new(properties, name, type_json(type, n));
		if (always)
			json_array_append_new(required, json_string(name));
		p = type + n;
	}
	return json_pack("{s:s, s:o, s:o}", "type", "object", "properties", properties,
	    "required", required);
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
	return json_pack("{s:s, s:s, s:i, s:s, s:{s:s, s:o, s:o, s:b}, s:o}", "method",
	    m->name, "role", ctl_role_name(m->role), "since", (int)m->since, "help",
	    m->help, "params", "type", "object", "properties", properties, "required",
	    required, "additionalProperties", 0, "result",
	    result_json(results[m - ctl_methods]));
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
