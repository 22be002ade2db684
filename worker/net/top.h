/* Requests by client, host and user agent, in the shared segment (common/topk.h). All of it
 * on the I/O thread. SPDX-License-Identifier: MIT */
#pragma once

#include "common/seg.h"

struct net;
struct req;

/* Of a connection: the entries its last request was counted in, which are mostly the next
 * one's, too. */
struct top_memo {
	struct topk_own *of[TOPS]; /* borrowed; whose they are while the life is the same */
	uint32_t life[TOPS];
	bool no_agent;    /* it had no User-Agent */
	uint8_t agent_at; /* the field that was its User-Agent */
};

NODISCARD int top_init(struct net *net, struct err *e);
/* For a new connection. */
void top_begin(struct net *net, struct top_memo *m);
/* At the request's outcome, while it still has its connection. */
void top_count(const struct req *r);
