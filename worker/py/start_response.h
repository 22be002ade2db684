/* The start_response and write callables, and early hints. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

NODISCARD int start_response_add_types(struct state *st, PyObject *module);
/* What the application gets: borrowed reference, c->faces owns it. NULL: exception. */
/* The (name, value) pairs of an interim response. -1: exception. */
NODISCARD int start_response_add_interim_fields(struct resp *resp, PyObject *headers);
PyObject *start_response_object(struct call *c);
