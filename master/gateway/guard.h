/* Who may what: the rules of the TCP listener. SPDX-License-Identifier: MIT */
#pragma once

#include "master/gateway/http.h"

/* Whether the request is looked at; false: it was answered. Sets h->role for a bearer of
 * the token. A client of the control socket has proved who it is already. */
bool guard_admits(struct http *h);
/* Answers with 403, or 401 where a token could help. */
void guard_deny(struct http *h, enum ctl_role needs);
