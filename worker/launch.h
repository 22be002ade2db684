/* How a worker process becomes one with Python in it. SPDX-License-Identifier: MIT */
#pragma once

/* Reads the heritage and goes on inside the chosen interpreter, embedded or by exec. Never
 * returns: failures go to the master, or to descriptor 2 when there is none. */
_Noreturn void launch_run(void);

/* Our handlers for the signals Python or its users would otherwise take: before Python
 * starts (embedded), and again after it took SIGINT (exec). */
void launch_own_signals(void);
