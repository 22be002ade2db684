/* Environs to copy: one per shape of head (the same field names in the same order) as the
 * last request of that shape had it, so that only what differs is set anew.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

struct shapes;

/* One set per application thread: no locks. NULL without memory. */
struct shapes *shapes_create(void);
void shapes_destroy(struct shapes *s);

/* The environ of c->req: a new dict, and c->faces and c->lists. NULL: exception. */
PyObject *shapes_environ(struct shapes *s, struct call *c);
/* After the environ is gone: drops c->faces and c->lists; those nobody kept will serve the
 * shape's next request. */
void shapes_take_back(struct call *c);
