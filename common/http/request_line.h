/* The request line: method, target and version (RFC 9112 3).
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/http/head.h"

#define METHOD_MAX 64 /* bytes; a longer method is one nobody implements: 501 */

/* base + line.p's offset is noted in the head. line: without CRLF. 0, or the status to
 * answer with; h->reason is set then. */
int request_line_parse(struct head *h, const char *base, struct str line);
