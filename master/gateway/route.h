/* Which request means what: routes.def, and who may. SPDX-License-Identifier: MIT */
#pragma once

#include "master/gateway/http.h"

/* Answers the request under way, now or when the master has. */
void route_run(struct http *h);
