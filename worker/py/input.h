/* wsgi.input. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

NODISCARD int input_add_type(struct state *st, PyObject *module);
/* As new: for the next request. */
void input_reset(PyObject *self);
