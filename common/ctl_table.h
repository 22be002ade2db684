/* The control protocol as tables: methods, parameters, roles and kinds of errors, made from
 * ctl.def. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#define CTL_API 1
#define CTL_MINOR 0
#define CTL_LINE_MAX (256 * 1024) /* of a request */
#define CTL_REPLY_MAX (4 << 20)
#define CTL_IN_FLIGHT_MAX 8
#define CTL_DEPTH_MAX 32
#define CTL_VALUES_MAX 4096 /* in a request */
#define CTL_LIST_MAX 1024

enum ctl_role { CTL_NOBODY, CTL_OBSERVER, CTL_OPERATOR, CTL_ADMIN, CTL_ROLES };

enum ctl_method_id {
#define METHOD(ident, ...) CTL_M_##ident,
#define PARAM(...)
#include "common/ctl.def"
#undef METHOD
#undef PARAM
	CTL_METHODS
};

struct ctl_method {
	const char *name;
	enum ctl_role role; /* the least */
	unsigned since;
	bool audit;
	const char *help;
};

enum ctl_type {
	CTL_T_STRING,
	CTL_T_INTEGER,
	CTL_T_NUMBER,
	CTL_T_BOOLEAN,
	CTL_T_STRINGS,
	CTL_T_INTEGERS
};

struct ctl_param {
	enum ctl_method_id method;
	const char *name;
	enum ctl_type type;
	bool required;
	int64_t min, max;
	const char *words; /* "a|b"; NULL: any */
	const char *help;
};

enum ctl_kind {
	CTL_E_PARSE,
	CTL_E_INVALID_REQUEST,
	CTL_E_UNKNOWN_METHOD,
	CTL_E_INVALID_PARAMS,
	CTL_E_INTERNAL,
	CTL_E_PERMISSION_DENIED,
	CTL_E_BUSY,
	CTL_E_NOT_FOUND,
	CTL_E_TIMEOUT,
	CTL_E_TOO_LARGE,
	CTL_E_OVERLOADED,
	CTL_E_UNSUPPORTED,
	CTL_E_REVISION_CONFLICT,
	CTL_E_WORKER_GONE,
	CTL_E_SHUTTING_DOWN,
	CTL_E_FAILED_PRECONDITION,
	CTL_E_JOB_FAILED,
	CTL_KINDS
};

/* code, kind, the status a gateway gives, what is in data beside kind. */
struct ctl_error {
	int code;
	const char *kind;
	int http;
	const char *data;
};

extern const struct ctl_method ctl_methods[CTL_METHODS];
extern const struct ctl_param ctl_params[]; /* in the order of the methods */
extern const size_t ctl_n_params;
extern const struct ctl_error ctl_errors[CTL_KINDS];

/* NULL: no such method. */
const struct ctl_method *ctl_table_find(const char *name);
/* The method nearest to a misspelt name; NULL: none is near. */
const char *ctl_table_nearest(const char *name);
const char *ctl_role_name(enum ctl_role role);
/* CTL_NOBODY when it is none. */
enum ctl_role ctl_role_parse(const char *name);
const char *ctl_type_name(enum ctl_type type);
