/* Requests by route since the instance began, of all workers together, those that are gone
 * included: what each worker's segment has grown by is added, so that no number ever goes
 * backwards. SPDX-License-Identifier: MIT */
#pragma once

#include "common/seg.h"

#include <jansson.h>

#define ROUTES_KEPT 64 /* by name; the rest together is ~other */
#define ROUTES_OTHER "~other"

struct route_counts {
	uint64_t errors, sum_us; /* errors: of status 500-599 */
	uint64_t classes[HIST_CLASSES], bucket[SEG_ROUTE_BUCKETS];
};

struct route {
	char name[ACCT_KEY_MAX + 1];
	struct route_counts counts;
};

/* What of one worker's segment is in the sums. */
struct routes_seen {
	const struct seg *seg; /* borrowed; until routes_fold */
	struct routes_seen *next;
	struct route_counts *counts; /* owned; of its routes that were counted so far */
	uint32_t n;
	struct route_counts other; /* of SEG_ROUTES_OTHER */
	uint8_t to[SEG_ROUTES];    /* the place in `routes.v` of each */
};

/* Zeroed is a fine start. */
struct routes {
	struct route v[ROUTES_KEPT + 1]; /* the first: ROUTES_OTHER */
	uint32_t n;                      /* with a name */
	struct routes_seen *seen;        /* owned list */
};

void routes_finish(struct routes *t);
/* Adds what a worker's routes have grown since the last time. */
void routes_look(struct routes *t, const struct seg *s);
/* The same, a last time, before its segment is closed. */
void routes_fold(struct routes *t, const struct seg *s);
uint64_t routes_requests(const struct route_counts *c);
/* Below which the part q of them lies, microseconds. */
double routes_quantile(const struct route_counts *c, double q);

/* For the binary that takes over: what came from workers that are gone. New reference. */
json_t *routes_save(const struct routes *t);
void routes_restore(struct routes *t, const json_t *from);
