/* `shoal.metrics` inside of a worker. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/state.h"

#include "common/metric.h"

/* Makes `shoal` and `shoal.metrics` importable. Until metrics_attach() what the application
 * counts is this process's own. */
NODISCARD int metrics_add_module(struct state *st, PyObject *module);
/* Counts into the worker's table from now on, which begins with what was declared so far.
 */
void metrics_attach(struct metric_table *shared);
/* Before the table goes away. */
void metrics_detach(void);
