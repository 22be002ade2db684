/* Whether a request's account may still have an answer. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

struct req;

/* true: its quota is used up and denies it; r->retry_after is set. Looks at the account
 * that
 * --account-key names: what the application says comes too late for that. */
bool quota_gate_denies(struct req *r);
