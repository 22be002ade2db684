/* How many connections wait to be accepted, and how many found no room.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

struct accept_queue {
	unsigned waiting, limit;
};

/* Of a listening TCP socket; false: the kernel does not tell (unix sockets). */
bool accept_queue_read(int fd, struct accept_queue *q);
/* Connections the kernel dropped because an accept queue was full, of any socket in the
 * caller's network namespace since that began; -1: it does not tell. */
int64_t accept_queue_overflows(void);
/* The part that reads /proc/net/netstat. */
int64_t accept_queue_parse_overflows(struct str netstat);
