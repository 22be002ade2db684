/* The limits of a worker's life and whether one is reached. SPDX-License-Identifier: MIT */
#include "master/recycle.h"

/* limit + 0 .. jitter; no jitter makes an absent limit a limit. */
static int64_t
draw(int64_t limit, int64_t jitter, uint64_t random)
{
	uint64_t extra = jitter > 0 ? random % ((uint64_t)jitter + 1) : 0;

	if (limit <= 0)
		return 0;
	return (int64_t)MIN((uint64_t)limit + extra, (uint64_t)INT64_MAX);
}

void
recycle_draw(
    struct recycle_limits *l, const struct conf *c, uint64_t random_1, uint64_t random_2)
{
	l->max_requests = (uint64_t)draw(c->max_requests, c->max_requests_jitter, random_1);
	l->max_age_ms = draw(c->max_age, c->max_age_jitter, random_2);
	l->max_rss = c->max_rss;
}

enum proc_reason
recycle_due(
    const struct recycle_limits *l, uint64_t requests, int64_t age_ms, int64_t rss_bytes)
{
	if (l->max_requests > 0 && requests >= l->max_requests)
		return PROC_MAX_REQUESTS;
	if (l->max_age_ms > 0 && age_ms >= l->max_age_ms)
		return PROC_MAX_AGE;
	if (l->max_rss > 0 && rss_bytes > l->max_rss)
		return PROC_MAX_RSS;
	return PROC_REASONS;
}
