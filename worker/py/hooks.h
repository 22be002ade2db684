/* Post hooks: env['eventlet.posthooks'] and env['shoal.delivered_hooks'].
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

enum hooks { HOOKS_POST, HOOKS_DELIVERED };

/* Whether the environ holds any of them now. */
bool hooks_pending(struct call *c, enum hooks which);
/* Runs all of them in order, each isolated. No exception. */
void hooks_run(struct call *c, enum hooks which);
