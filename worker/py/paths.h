/* REQUEST_METHOD, the path's three forms and the query as Python objects, the last ones
 * kept per application thread. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/state.h"

#include "worker/net/req.h"

struct paths;

/* NULL without memory. */
struct paths *paths_create(struct state *st);
void paths_destroy(struct paths *p);

/* -1: exception. */
NODISCARD int paths_fill_env(struct paths *p, PyObject *env, const struct req *r);
