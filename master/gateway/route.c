/* Which request means what, and who may: from routes.def. SPDX-License-Identifier: MIT */
#include "master/gateway/route.h"

#include "master/gateway/gateway.h"
#include "master/gateway/guard.h"
#include "master/gateway/metrics.h"
#include "master/gateway/page.h"
#include "master/gateway/query.h"
#include "master/gateway/stream.h"

#include <stdio.h>

struct route {
	const char *verb, *path;
	const char *method;    /* of the control protocol; NULL: `run` answers */
	const char *parameter; /* what the `*` of the path stands for */
	void (*run)(struct http *h);
};

static void rpc_run(struct http *h);

static const struct route routes[] = {
#define CALL(verb, path, method, parameter) {verb, path, method, parameter, NULL},
#define PAGE(verb, path, function) {verb, path, NULL, NULL, function},
#include "master/gateway/routes.def"
#undef CALL
#undef PAGE
};

/* *star is what the `*` of the pattern matched. */
static bool
path_fits(const char *pattern, struct str path, struct str *star)
{
	const char *at = strchr(pattern, '*');
	const size_t n = at ? (size_t)(at - pattern) : strlen(pattern);

	if (at == NULL)
		return path.n == n && memcmp(path.p, pattern, n) == 0;
	if (path.n <= n || memcmp(path.p, pattern, n) != 0)
		return false;
	*star = (struct str){path.p + n, path.n - n};
	return memchr(star->p, '/', star->n) == NULL;
}

/* HEAD is asked as GET; which verbs the path knows goes to `allow`. */
static const struct route *
find(const struct http *h, struct str *star, char *allow, size_t max)
{
	struct str verb = http_method(h);
	size_t n = 0;

	if (str_eq(verb, STR("HEAD")))
		verb = STR("GET");
	allow[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (!path_fits(routes[i].path, http_path(h), star))
			continue;
		if (str_eq(verb, str_of(routes[i].verb)))
			return &routes[i];
		n += (size_t)snprintf(
		    allow + n, max - n, "%s%s", n > 0 ? ", " : "", routes[i].verb);
	}
	return NULL;
}

static enum ctl_kind
kind_of(const json_t *error)
{
	const char *kind =
	    json_string_value(json_object_get(json_object_get(error, "data"), "kind"));

	for (int i = 0; kind != NULL && i < CTL_KINDS; i++)
		if (strcmp(ctl_errors[i].kind, kind) == 0)
			return (enum ctl_kind)i;
	return CTL_E_INTERNAL;
}

static void
on_answer(void *ctx, json_t *result, json_t *error)
{
	struct http *h = ctx;
	const char *job = json_string_value(json_object_get(result, "job"));
	const bool post = strcmp(h->route->verb, "POST") == 0;
	char location[64];
	json_t *body;

	h->call = 0;
	if (result == NULL && error == NULL) {
		http_fail(h, CTL_E_SHUTTING_DOWN, "the master has gone");
	} else if (error != NULL) {
		body = json_pack("{s:O}", "error", error);
		http_answer_json(h, ctl_errors[kind_of(error)].http, NULL, body);
		json_decref(body);
	} else {
		/* A job's id is the master's own: letters, digits and `-`. */
		snprintf(location, sizeof(location), "Location: /v1/jobs/%.15s\r\n",
		    job ? job : "");
		http_answer_json(
		    h, post ? 202 : 200, post && job ? location : NULL, result);
	}
}

static struct rpc *
session_of(const struct http *h)
{
	if (h->own != NULL)
		return h->own;
	return h->role > CTL_OBSERVER ? h->gateway->trusted : h->gateway->observer;
}

static void
call(struct http *h, const struct ctl_method *method, json_t *params, rpc_answer_fn *fn)
{
	h->asked = session_of(h);
	h->call = h->asked ? rpc_call(h->asked, method->name, params, fn, h) : 0;
	if (h->asked == NULL)
		json_decref(params);
	if (h->call == 0)
		http_fail(h, CTL_E_OVERLOADED, "too many requests at once");
}

static json_t *
body_params(struct http *h)
{
	json_error_t why;
	json_t *v;

	if (h->body_n == 0)
		return json_object();
	v = json_loadb(h->body, h->body_n, JSON_REJECT_DUPLICATES, &why);
	if (json_is_object(v))
		return v;
	json_decref(v);
	return NULL;
}

static json_t *
params_of(struct http *h, const struct ctl_method *method, struct str star)
{
	const bool post = strcmp(h->route->verb, "POST") == 0;
	struct str query = span_str(h->bytes, h->head.query);
	json_t *v = post ? body_params(h) : query_params(method, query);

	if (v == NULL)
		return NULL;
	if (h->route->parameter != NULL &&
	    json_object_set_new(v, h->route->parameter,
		query_value(method, h->route->parameter, star)) < 0) {
		json_decref(v);
		return NULL;
	}
	if (str_eq(http_path(h), STR("/healthz")))
		json_object_set_new(v, "probe", json_string("live"));
	return v;
}

static void
run_call(struct http *h, struct str star)
{
	const struct ctl_method *method = ctl_table_find(h->route->method);
	json_t *params;

	if (method->role > h->role) {
		guard_deny(h, method->role);
		return;
	}
	params = params_of(h, method, star);
	if (params == NULL)
		http_fail(h, CTL_E_INVALID_PARAMS, "the parameters cannot be read");
	else
		call(h, method, params, on_answer);
}

static void
on_rpc_answer(void *ctx, json_t *result, json_t *error)
{
	struct http *h = ctx;
	json_t *request = json_loadb(h->body, h->body_n, 0, NULL);
	json_t *body =
	    json_pack("{s:s,s:O?}", "jsonrpc", "2.0", "id", json_object_get(request, "id"));

	h->call = 0;
	if (result != NULL)
		json_object_set(body, "result", result);
	else if (error != NULL)
		json_object_set(body, "error", error);
	if (result == NULL && error == NULL)
		http_fail(h, CTL_E_SHUTTING_DOWN, "the master has gone");
	else
		http_answer_json(
		    h, error ? ctl_errors[kind_of(error)].http : 200, NULL, body);
	json_decref(body);
	json_decref(request);
}

/* Any method, as its role allows; what comes later than an answer has nowhere to go. */
static void
rpc_run(struct http *h)
{
	json_t *request = body_params(h), *params = json_object_get(request, "params");
	const char *name = json_string_value(json_object_get(request, "method"));
	const struct ctl_method *method = name ? ctl_table_find(name) : NULL;

	if (request == NULL || name == NULL)
		http_fail(
		    h, CTL_E_INVALID_REQUEST, "one JSON-RPC request object is expected");
	else if (method == NULL)
		http_fail(h, CTL_E_UNKNOWN_METHOD, "there is no such method");
	else if (strstr(name, "subscribe") != NULL)
		http_fail(h, CTL_E_UNSUPPORTED, "use GET /v1/events or /v1/stats/stream");
	else if (method->role > h->role)
		guard_deny(h, method->role);
	else
		call(h, method, json_incref(params), on_rpc_answer);
	json_decref(request);
}

void
route_run(struct http *h)
{
	struct str star = {0};
	char allow[32], field[64];

	if (!guard_admits(h))
		return;
	h->route = find(h, &star, allow, sizeof(allow));
	if (h->route == NULL && allow[0] != '\0') {
		snprintf(field, sizeof(field), "Allow: %s\r\n", allow);
		http_answer(h, 405, "text/plain", field, "no such verb here\n", 18);
	} else if (h->route == NULL) {
		http_answer(h, 404, "text/plain", NULL, "no such page\n", 13);
	} else if (h->route->run != NULL) {
		h->route->run(h);
	} else {
		run_call(h, star);
	}
}
