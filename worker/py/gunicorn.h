/* The hooks of a gunicorn.conf.py, where a worker calls them. Without any, nothing of it is
 * loaded or called. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/state.h"

/* Before load_app(): the file is evaluated and post_fork called on the way. -1: exception.
 */
NODISCARD int gunicorn_configure(struct state *st);
/* Who calls post_fork: (slot, epoch, workers) in a worker, None in a mold. New reference.
 */
PyObject *gunicorn_number(const struct state *st);
/* In a worker with its application, which may be another one afterwards. forked: by a mold.
 * -1: exception. */
NODISCARD int gunicorn_start(struct state *st, bool forked);
/* worker_exit; no exception. */
void gunicorn_end(struct state *st);
