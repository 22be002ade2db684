/* The control protocol as tables. SPDX-License-Identifier: MIT */
#include "common/ctl_table.h"

#include "common/nearest.h"

#define AUDIT true
#define QUIET false
#define REQUIRED true
#define OPTIONAL false

const struct ctl_method ctl_methods[CTL_METHODS] = {
#define METHOD(ident, name, role, since, audit, help)                                      \
	[CTL_M_##ident] = {name, CTL_##role, since, audit, help},
#define PARAM(...)
#include "common/ctl.def"
#undef METHOD
#undef PARAM
};

const struct ctl_param ctl_params[] = {
#define METHOD(...)
#define PARAM(method, name, type, required, min, max, words, help)                         \
	{CTL_M_##method, name, CTL_T_##type, required, min, max, words, help},
#include "common/ctl.def"
#undef METHOD
#undef PARAM
};

const size_t ctl_n_params = ARRAY_LEN(ctl_params);

const struct ctl_error ctl_errors[CTL_KINDS] = {
    [CTL_E_PARSE] = {-32700, "parse", 400, "offset"},
    [CTL_E_INVALID_REQUEST] = {-32600, "invalid_request", 400, ""},
    [CTL_E_UNKNOWN_METHOD] = {-32601, "unknown_method", 404, "did_you_mean"},
    [CTL_E_INVALID_PARAMS] = {-32602, "invalid_params", 422, "param, expected"},
    [CTL_E_INTERNAL] = {-32603, "internal", 500, ""},
    [CTL_E_PERMISSION_DENIED] = {-32001, "permission_denied", 403, "role, needs"},
    [CTL_E_BUSY] = {-32002, "busy", 409, "job: the one in the way"},
    [CTL_E_NOT_FOUND] = {-32003, "not_found", 404, "what"},
    [CTL_E_TIMEOUT] = {-32004, "timeout", 504, "job, which still runs"},
    [CTL_E_TOO_LARGE] = {-32005, "too_large", 413, "limit"},
    [CTL_E_OVERLOADED] = {-32006, "overloaded", 429, "retry_ms"},
    [CTL_E_UNSUPPORTED] = {-32007, "unsupported", 501, "feature"},
    [CTL_E_REVISION_CONFLICT] = {-32008, "revision_conflict", 412, "revision"},
    [CTL_E_WORKER_GONE] = {-32009, "worker_gone", 410, "worker"},
    [CTL_E_SHUTTING_DOWN] = {-32010, "shutting_down", 503, ""},
    [CTL_E_FAILED_PRECONDITION] = {-32011, "failed_precondition", 412, "why"},
    [CTL_E_JOB_FAILED] = {-32012, "job_failed", 500, "the whole job"},
};

static const char *const role_names[CTL_ROLES] = {
    "nobody", "observer", "operator", "admin"};

static const char *const type_names[] = {
    [CTL_T_STRING] = "string",
    [CTL_T_INTEGER] = "integer",
    [CTL_T_NUMBER] = "number",
    [CTL_T_BOOLEAN] = "boolean",
    [CTL_T_STRINGS] = "array of strings",
    [CTL_T_INTEGERS] = "array of integers",
};

const struct ctl_method *
ctl_table_find(const char *name)
{
	for (size_t i = 0; i < CTL_METHODS; i++)
		if (strcmp(ctl_methods[i].name, name) == 0)
			return &ctl_methods[i];
	return NULL;
}

const char *
ctl_table_nearest(const char *name)
{
	struct nearest n = nearest_begin(str_of(name));

	for (size_t i = 0; i < CTL_METHODS; i++)
		nearest_try(&n, ctl_methods[i].name);
	return n.found;
}

const char *
ctl_role_name(enum ctl_role role)
{
	return role_names[role];
}

enum ctl_role
ctl_role_parse(const char *name)
{
	for (int i = CTL_OBSERVER; i < CTL_ROLES; i++)
		if (strcmp(role_names[i], name) == 0)
			return (enum ctl_role)i;
	return CTL_NOBODY;
}

const char *
ctl_type_name(enum ctl_type type)
{
	return type_names[type];
}
