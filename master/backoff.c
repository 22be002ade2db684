/* How long a slot waits before its next worker: doubling, bounded, forgotten after a
 * healthy life. SPDX-License-Identifier: MIT */
#include "master/backoff.h"

#define DOUBLINGS_MAX 16 /* beyond the bound already; keeps the shift defined */

int64_t
backoff_next(struct backoff *b, int64_t life_ms, bool was_ready)
{
	int64_t max = was_ready ? BACKOFF_SERVED_MAX_MS : BACKOFF_LOAD_MAX_MS;
	int64_t wait;

	if (was_ready && life_ms >= BACKOFF_HEALTHY_MS) {
		b->failures = 0;
		return 0;
	}
	wait = (int64_t)BACKOFF_FIRST_MS << MIN(b->failures, DOUBLINGS_MAX);
	if (b->failures < DOUBLINGS_MAX)
		b->failures++;
	return MIN(wait, max);
}
