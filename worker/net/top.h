/* Requests by client, host and user agent, in the shared segment (common/topk.h). All of it
 * on the I/O thread. SPDX-License-Identifier: MIT */
#pragma once

#include "common/seg.h"

struct net;
struct req;

/* Of a connection: the entries its last request was counted in, which are mostly the next
 * one's, too. Zeroed is a fine start. */
struct top_memo {
	uint32_t life[TOPS];
	uint16_t entry[TOPS];
	uint8_t agent_at; /* the field that was its User-Agent */
};

NODISCARD int top_init(struct net *net, struct err *e);
/* At the request's outcome, while it still has its connection. */
void top_count(const struct req *r);
