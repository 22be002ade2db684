/* wsgi.file_wrapper: real files go to the I/O thread, others are read in blocks.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/response.h"

NODISCARD int filewrapper_add_type(struct state *st, PyObject *module);
/* Sends c->result whole if it wraps a real file; false: iterate over it. */
bool filewrapper_send(struct call *c, enum response_step *step);
