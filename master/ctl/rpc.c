/* A line of JSON-RPC 2.0 becomes a request, or the error that tells what is wrong with it.
 * Pure: no socket. SPDX-License-Identifier: MIT */
#include "master/ctl/server.h"

#include <stdio.h>

#define ID_MAX 256

static int
fail(struct ctl_request *r, enum ctl_kind kind, json_t *data, const char *why)
{
	r->kind = kind;
	r->data = data;
	snprintf(r->why, sizeof(r->why), "%s", why);
	return -1;
}

enum shape { SHAPE_FINE, SHAPE_DEEP, SHAPE_MANY };

/* What would cost the parser more than a turn of the loop may take: it recurses, and makes
 * an object of every value. This does neither. What stands in strings does not count. */
static enum shape
scan(const char *p, size_t n, size_t *where)
{
	unsigned depth = 0, values = 0;
	bool string = false;

	for (size_t i = 0; i < n; i++) {
		*where = i;
		if (string) {
			if (p[i] == '\\')
				i++;
			else if (p[i] == '"')
				string = false;
		} else if (p[i] == '"') {
			string = true;
		} else if (p[i] == '{' || p[i] == '[') {
			if (++depth > CTL_DEPTH_MAX)
				return SHAPE_DEEP;
		} else if (p[i] == ',') {
			if (++values >= CTL_VALUES_MAX)
				return SHAPE_MANY;
		} else if ((p[i] == '}' || p[i] == ']') && depth > 0) {
			depth--;
		}
	}
	return SHAPE_FINE;
}

json_t *
ctl_json_load(const char *p, size_t n)
{
	size_t at;

	if (scan(p, n, &at) != SHAPE_FINE)
		return NULL;
	return json_loadb(p, n, JSON_REJECT_DUPLICATES, NULL);
}

static int
load(struct ctl_request *r, const char *line, size_t n)
{
	json_error_t where;
	char why[400];
	size_t at;
	enum shape shape = scan(line, n, &at);

	r->broken = true;
	if (shape == SHAPE_MANY) {
		snprintf(why, sizeof(why), "more than %d values", CTL_VALUES_MAX);
		return fail(
		    r, CTL_E_TOO_LARGE, json_pack("{s:i}", "limit", CTL_VALUES_MAX), why);
	}
	if (shape == SHAPE_DEEP) {
		snprintf(why, sizeof(why), "nested deeper than %d", CTL_DEPTH_MAX);
		return fail(r, CTL_E_PARSE,
		    json_pack(
			"{s:I, s:i}", "offset", (json_int_t)at, "limit", CTL_DEPTH_MAX),
		    why);
	}
	r->root = json_loadb(line, n, JSON_REJECT_DUPLICATES, &where);
	if (r->root == NULL) {
		snprintf(why, sizeof(why), "not JSON: %.150s", where.text);
		return fail(r, CTL_E_PARSE,
		    json_pack("{s:I}", "offset", (json_int_t)MAX(where.position, 0)), why);
	}
	r->broken = false;
	return 0;
}

static int
check_members(struct ctl_request *r)
{
	const char *name;
	const char *version;
	json_t *v;

	json_object_foreach(r->root, name, v)
	{
		if (strcmp(name, "jsonrpc") != 0 && strcmp(name, "id") != 0 &&
		    strcmp(name, "method") != 0 && strcmp(name, "params") != 0)
			return fail(r, CTL_E_INVALID_REQUEST, NULL,
			    "a request has jsonrpc, id, method and params, nothing else");
	}
	v = json_object_get(r->root, "jsonrpc");
	version = json_string_value(v);
	if (v != NULL && (version == NULL || strcmp(version, "2.0") != 0))
		return fail(r, CTL_E_INVALID_REQUEST, NULL, "jsonrpc must be \"2.0\"");
	return 0;
}

static int
check_id(struct ctl_request *r)
{
	json_t *id = json_object_get(r->root, "id");

	r->notification = id == NULL;
	if (id == NULL)
		return 0;
	if (!json_is_integer(id) &&
	    !(json_is_string(id) && json_string_length(id) <= ID_MAX))
		return fail(r, CTL_E_INVALID_REQUEST, NULL,
		    "id must be an integer or a string of at most 256 bytes");
	r->id = id;
	return 0;
}

static int
find_method(struct ctl_request *r)
{
	json_t *name = json_object_get(r->root, "method");
	const char *text = json_string_value(name);
	const char *near;

	if (text == NULL)
		return fail(
		    r, CTL_E_INVALID_REQUEST, NULL, "method is missing, or not a string");
	r->method = ctl_table_find(text);
	if (r->method != NULL && strlen(text) == json_string_length(name))
		return 0;
	r->method = NULL;
	near = ctl_table_nearest(text);
	fail(r, CTL_E_UNKNOWN_METHOD, json_object(), "");
	if (near != NULL)
		json_object_set_new(r->data, "did_you_mean", json_string(near));
	snprintf(r->why, sizeof(r->why), "there is no method %.100s%s%s", text,
	    near ? "; did you mean " : "", near ? near : "; schema.get lists them");
	return -1;
}

int
ctl_request_parse(struct ctl_request *r, const char *line, size_t n, enum ctl_role role)
{
	json_t *params;

	memset(r, 0, sizeof(*r));
	if (load(r, line, n) < 0)
		return -1;
	if (!json_is_object(r->root))
		return fail(r, CTL_E_INVALID_REQUEST, NULL,
		    "a request is one JSON object; there are no batches");
	if (check_members(r) < 0 || check_id(r) < 0 || find_method(r) < 0)
		return -1;
	/* Before the parameters are looked at: whoever may not, learns nothing. */
	if (role < r->method->role) {
		fail(r, CTL_E_PERMISSION_DENIED,
		    json_pack("{s:s, s:s}", "role", ctl_role_name(role), "needs",
			ctl_role_name(r->method->role)),
		    "");
		snprintf(r->why, sizeof(r->why), "%s needs the role %s, you have %s",
		    r->method->name, ctl_role_name(r->method->role), ctl_role_name(role));
		return -1;
	}
	params = json_object_get(r->root, "params");
	if (params != NULL && !json_is_object(params))
		return fail(r, CTL_E_INVALID_PARAMS,
		    json_pack("{s:s, s:s}", "param", "params", "expected", "an object"),
		    "params must be an object");
	r->params = ctl_params_check(r, params);
	return r->params == NULL ? -1 : 0;
}

void
ctl_request_finish(struct ctl_request *r)
{
	json_decref(r->root);
	json_decref(r->params);
	json_decref(r->data);
}

json_t *
ctl_error_data(enum ctl_kind kind, json_t *data)
{
	json_t *all = json_pack("{s:s}", "kind", ctl_errors[kind].kind);

	if (data != NULL)
		json_object_update_missing(all, data);
	json_decref(data);
	return all;
}

char *
ctl_error_line(json_t *id, enum ctl_kind kind, json_t *data, const char *why)
{
	json_t *message = ctl_text(str_of(why));
	json_t *v = json_pack("{s:s, s:O?, s:{s:i, s:o, s:o}}", "jsonrpc", "2.0", "id", id,
	    "error", "code", ctl_errors[kind].code, "message", message, "data",
	    ctl_error_data(kind, data));
	char *line = v ? json_dumps(v, CTL_DUMP) : NULL;
	size_t n = line ? strlen(line) : 0;
	char *whole = line ? realloc(line, n + 2) : NULL;

	json_decref(v);
	if (whole == NULL) {
		free(line);
		return NULL;
	}
	memcpy(whole + n, "\n", 2);
	return whole;
}
