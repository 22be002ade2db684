/* What Python's garbage collector does, in the shared segment. SPDX-License-Identifier: MIT
 */
#pragma once

#include "worker/py/state.h"

/* Has itself told of every run; with the module. */
NODISCARD int gc_watch(struct state *st, PyObject *module);
/* From here on they are counted; s NULL: no more. With the GIL. */
void gc_count_in(struct seg *s);
