/* The route of a request, as the application names it: env['shoal.route'], for metrics.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

/* When the head is final, before the request is `answering`. */
void route_fix(struct call *c);
