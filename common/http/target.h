/* The four forms of a request target (RFC 9112 3.2).
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/http/head.h"

/* Fills path, query, form and, for absolute-form, host. h->method must be set. 0, or the
 * status to answer with; h->reason is set then. */
int target_parse(struct head *h, const char *base, struct str target);
