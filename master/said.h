/* What a process writes to its standard error: passed on to ours, and its end kept.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#define SAID_MAX 16384

struct event_base;
struct said;

/* Goes on to `forward`, which stays the caller's. */
NODISCARD struct said *said_open(struct event_base *base, int forward, struct err *e);
/* The process's descriptor 2; stays ours. */
int said_fd(const struct said *s);
/* The last SAID_MAX bytes, with what is still on its way; on the heap. NULL: nothing. */
char *said_take(struct said *s);
/* Who still writes gets EPIPE. NULL is fine. */
void said_close(struct said *s);
