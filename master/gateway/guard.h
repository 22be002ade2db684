/* Who may what: names of hosts, origins of pages, the token. SPDX-License-Identifier: MIT */
#pragma once

#include "master/gateway/http.h"

/* Whether the request is looked at; false: it was answered. Sets h->role for a bearer of
 * the token. Whose a client of the control socket is the kernel has said already. */
bool guard_admits(struct http *h);
/* Answers with 403, or 401 where a token could help. */
void guard_deny(struct http *h, enum ctl_role needs);
