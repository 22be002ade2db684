/* The master's way up: everything that can fail before the first worker.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/master.h"

/* From a checked configuration to a running fleet; the exit code says what kind of failure
 * `e` tells of, EXIT_STOPPED means it worked. What was opened is closed by start_undo. */
NODISCARD enum master_exit start_all(struct master *m, struct err *e);
void start_undo(struct master *m);
