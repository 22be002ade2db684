/* -D: the server goes on in the background; the command ends when it is up.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

/* Returns in the background process only, with its diagnostics still on the terminal; the
 * calling process waits for daemon_report and exits with what it says. -1 with errno. */
NODISCARD int daemon_start(void);
/* The outcome of the start, once: 0 detaches from the terminal. Without daemon_start, and
 * the second time, it does nothing. */
void daemon_report(int exit_code);
