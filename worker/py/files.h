/* With --reload: tells the master which source files this process has loaded.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/state.h"

/* Sends what the master has not heard of yet. */
void files_tell(struct state *st);
/* A thread that does so about once a second. -1: exception. */
NODISCARD int files_start(struct state *st);
/* The module's function that sends one packet: True, or False when there was no room. */
PyObject *files_send(PyObject *module, PyObject *lines);
