/* Post hooks: env['eventlet.posthooks'] and env['shoal.delivered_hooks'].
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

/* Whether the environ holds any hook now. */
bool hooks_pending(struct call *c);
/* Runs all of them in order, each isolated. No exception. */
void hooks_run(struct call *c);
