/* How long a slot waits before its next worker. Pure arithmetic.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#define BACKOFF_HEALTHY_MS 5000 /* a worker that lived this long starts afresh */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_SERVED_MAX_MS 1000 /* it did serve: keep the capacity coming back */
#define BACKOFF_LOAD_MAX_MS 30000  /* it never got ready */

struct backoff {
	unsigned failures; /* short lives in a row */
};

/* A worker died after life_ms; returns the milliseconds to wait. */
int64_t backoff_next(struct backoff *b, int64_t life_ms, bool was_ready);
