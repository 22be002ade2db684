/* Header names and values as Python objects, made once and used again while the bytes are
 * the same. One cache per application thread: no locks. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/state.h"

#include "worker/net/req.h"

struct names;

/* NULL without memory. */
struct names *names_create(struct state *st);
void names_destroy(struct names *n);

/* Puts every field of r that the application may see into env, duplicates joined, and
 * returns headers_raw: a new tuple of (name, value) pairs as received. NULL: exception. */
PyObject *names_fill_env(struct names *n, PyObject *env, const struct req *r);
