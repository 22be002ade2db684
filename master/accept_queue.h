/* How many connections wait to be accepted. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

struct accept_queue {
	unsigned waiting, limit;
};

/* Of a listening TCP socket; false: the kernel does not tell (unix sockets). */
bool accept_queue_read(int fd, struct accept_queue *q);
