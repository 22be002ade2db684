/* What a trusted reverse proxy says about the client's own connection.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

struct req;

/* --forwarded-allow-ips: comma-separated addresses or networks, `*` for all, empty for
 * none. -1 names the entry that is neither. */
NODISCARD int forward_init(const char *list, struct err *e);
/* Sets r->https from X-Forwarded-Proto, -Protocol or -Ssl when the peer may say so. */
void forward_apply(struct req *r);
