/* env['shoal.transfer']: what went over the wire, live, and final when the request ends.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

NODISCARD int transfer_add_type(struct state *st, PyObject *module);
/* Somebody besides the environ has it: its numbers must become the final ones. */
bool transfer_is_held(const struct call *c);
/* Keeps the numbers of now; the object no longer looks at the request. */
void transfer_freeze(struct call *c);
