/* Requests by route, as the application names it in env['shoal.route']: at most SEG_ROUTES
 * of them in the shared segment, the rest together. SPDX-License-Identifier: MIT */
#pragma once

#include "common/seg.h"

struct req;

#define ROUTES_INDEX 256 /* a power of two, well above SEG_ROUTES */

/* Which route of the segment has a name. Zeroed is a fine start. */
struct routes {
	uint8_t at[ROUTES_INDEX]; /* 1 + its place; 0: empty */
	uint32_t n;
};

/* The place of this name, a new one if need be; SEG_ROUTES_OTHER when there is none left.
 */
uint32_t routes_find(struct routes *t, struct seg *s, const char *name, size_t n);
/* At the request's outcome; nothing when no route was named. */
void routes_count(const struct req *r);
