/* REQUEST_METHOD, the path's three forms and the query as Python objects, the last ones
 * kept per application thread. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/state.h"

#include "worker/net/req.h"

struct paths;

/* NULL without memory. */
struct paths *paths_create(struct state *st);
void paths_destroy(struct paths *p);

/* Borrowed from the cache, valid until the next call. */
struct path_names {
	PyObject *raw;      /* RAW_URI */
	PyObject *raw_path; /* RAW_PATH_INFO */
	PyObject *path;     /* PATH_INFO */
	PyObject *query;    /* QUERY_STRING */
};

/* NULL: exception. */
const struct path_names *paths_target(struct paths *p, const struct req *r);
/* REQUEST_METHOD: new reference. NULL: exception. */
PyObject *paths_method(struct state *st, const struct req *r);
