/* What a complete head means for its body and its connection (RFC 9112 6 and 9).
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/http/head.h"

/* Fills host, length, chunked, keep_alive, expect_continue ... from the fields. 0, or the
 * status to answer with; h->reason is set then. */
int framing_decide(struct head *h, const char *base);
