/* Header names and values as Python objects, made once and used again while the bytes are
 * the same. One cache per application thread: no locks. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/state.h"

#include "worker/net/req.h"

struct names;

/* NULL without memory. */
struct names *names_create(void);
void names_destroy(struct names *n);

/* One field as (name, value), both as received: new reference. *key: its name in the
 * environ, a new reference too. NULL: exception. */
PyObject *names_pair(
    struct names *n, const struct field *f, const struct req *r, PyObject **key);
