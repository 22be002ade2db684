/* The mold's Python side: warm-up, what makes forks unsafe, and the interpreter's forks.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/state.h"

/* After load_app(). Returns in a worker, 0, or -1 with an exception; in the mold only -1:
 * it could not be warmed up. */
NODISCARD int mold_run(struct state *st);
