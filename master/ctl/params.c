/* Parameters of a call against the table: every one known, of the right type and in range,
 * before anything is done. SPDX-License-Identifier: MIT */
#include "common/nearest.h"
#include "master/ctl/server.h"

#include <inttypes.h>
#include <stdio.h>

static void
say_expected(const struct ctl_param *p, char *buf, size_t max)
{
	const char *type = ctl_type_name(p->type);
	const char *of = p->type == CTL_T_STRINGS ? "array of " : "";

	if (p->words != NULL)
		snprintf(buf, max, "%sone of %s", of, p->words);
	else if (p->type == CTL_T_BOOLEAN)
		snprintf(buf, max, "true or false");
	else if (p->type == CTL_T_STRING || p->type == CTL_T_STRINGS)
		snprintf(buf, max, "%s, %" PRId64 " to %" PRId64 " bytes each", type,
		    p->min, p->max);
	else
		snprintf(buf, max, "%s, %" PRId64 " to %" PRId64, type, p->min, p->max);
}

static json_t *
refuse(struct ctl_request *r, const struct ctl_param *p)
{
	char expected[256];

	say_expected(p, expected, sizeof(expected));
	r->kind = CTL_E_INVALID_PARAMS;
	r->data = json_pack("{s:s, s:s}", "param", p->name, "expected", expected);
	snprintf(r->why, sizeof(r->why), "%s: %s must be %s", r->method->name, p->name,
	    expected);
	return NULL;
}

static bool
is_word(const char *words, const char *text, size_t n)
{
	while (*words != '\0') {
		size_t len = strcspn(words, "|");

		if (len == n && memcmp(words, text, n) == 0)
			return true;
		words += len;
		words += *words == '|';
	}
	return false;
}

static bool
element_fits(const struct ctl_param *p, enum ctl_type type, const json_t *v)
{
	double d;
	size_t n;

	switch (type) {
	case CTL_T_STRING:
		n = json_string_length(v);
		if (!json_is_string(v) || strlen(json_string_value(v)) != n)
			return false;
		if (p->words != NULL)
			return is_word(p->words, json_string_value(v), n);
		return (int64_t)n >= p->min && (int64_t)n <= p->max;
	case CTL_T_INTEGER:
		return json_is_integer(v) && json_integer_value(v) >= p->min &&
		       json_integer_value(v) <= p->max;
	case CTL_T_NUMBER:
		d = json_number_value(v);
		return json_is_number(v) && d >= (double)p->min && d <= (double)p->max;
	default:
		return json_is_boolean(v);
	}
}

static bool
fits(const struct ctl_param *p, const json_t *v)
{
	enum ctl_type element = p->type == CTL_T_STRINGS ? CTL_T_STRING : CTL_T_INTEGER;

	if (p->type != CTL_T_STRINGS && p->type != CTL_T_INTEGERS)
		return element_fits(p, p->type, v);
	if (!json_is_array(v) || json_array_size(v) > CTL_LIST_MAX)
		return false;
	for (size_t i = 0; i < json_array_size(v); i++)
		if (!element_fits(p, element, json_array_get(v, i)))
			return false;
	return true;
}

static const struct ctl_param *
find_param(const struct ctl_method *m, const char *name)
{
	for (size_t i = 0; i < ctl_n_params; i++)
		if (&ctl_methods[ctl_params[i].method] == m &&
		    strcmp(ctl_params[i].name, name) == 0)
			return &ctl_params[i];
	return NULL;
}

static json_t *
refuse_unknown(struct ctl_request *r, const char *name)
{
	struct nearest near = nearest_begin(str_of(name));
	char expected[256] = "";
	size_t n = 0;

	for (size_t i = 0; i < ctl_n_params; i++) {
		if (&ctl_methods[ctl_params[i].method] != r->method)
			continue;
		nearest_try(&near, ctl_params[i].name);
		if (n < sizeof(expected))
			n += (size_t)snprintf(expected + n, sizeof(expected) - n, "%s%s",
			    n ? ", " : "", ctl_params[i].name);
	}
	r->kind = CTL_E_INVALID_PARAMS;
	r->data = json_pack(
	    "{s:s, s:s}", "param", name, "expected", n > 0 ? expected : "no parameters");
	if (near.found != NULL)
		json_object_set_new(r->data, "did_you_mean", json_string(near.found));
	snprintf(r->why, sizeof(r->why), "%s has no parameter %.100s%s%s", r->method->name,
	    name, near.found ? "; did you mean " : "", near.found ? near.found : "");
	return NULL;
}

json_t *
ctl_params_check(struct ctl_request *r, const json_t *params)
{
	const char *name;
	json_t *v;

	if (params == NULL)
		params = json_object();
	else
		json_incref((json_t *)params);
	/* Unknown names first: a misspelt one explains a missing one. */
	json_object_foreach((json_t *)params, name, v)
	{
		if (find_param(r->method, name) == NULL) {
			refuse_unknown(r, name);
			json_decref((json_t *)params);
			return NULL;
		}
	}
	for (size_t i = 0; i < ctl_n_params; i++) {
		const struct ctl_param *p = &ctl_params[i];

		if (&ctl_methods[p->method] != r->method)
			continue;
		v = json_object_get(params, p->name);
		if (v == NULL ? p->required : !fits(p, v)) {
			refuse(r, p);
			json_decref((json_t *)params);
			return NULL;
		}
	}
	return (json_t *)params;
}
