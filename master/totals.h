/* What all workers have counted together, those that are gone included, so that no total
 * ever goes backwards. Segments are written by workers and believed as far as they add up.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/seg.h"
#include "master/request_sums.h"

#include <jansson.h>

/* A line of common/stats.def. */
struct totals_field {
	const char *name, *unit, *help;
	bool gauge;
};

extern const struct totals_field totals_fields[STAT_COUNT];

struct totals_counts {
	uint64_t stats[STAT_COUNT];
	uint64_t latency[HIST_BUCKETS]; /* of DURATION_request */
};

/* A line of common/durations.def. */
struct totals_duration_field {
	const char *name, *help;
};

extern const struct totals_duration_field totals_durations[DURATIONS];

struct totals_duration {
	uint64_t bucket[HIST_BUCKETS], classes[HIST_CLASSES], sum_us;
};

/* A line of common/sizes.def. */
extern const struct totals_duration_field totals_sizes[SIZES];

struct totals_size {
	uint64_t classes[HIST_SIZE_CLASSES], sum; /* bytes */
};

/* Counters in more detail, which no history is kept of. */
struct totals_tallies {
	uint64_t codes[SEG_CODES];        /* of status SEG_CODE_FIRST + i */
	uint64_t accepted[SEG_LISTENERS]; /* by listener */
	uint64_t logged[LOG_LEVELS];      /* lines of the error log */
	uint64_t net[NET_COUNTS];         /* see common/net_counts.h */
	uint64_t requests[REQUEST_SUMS];  /* places of totals.request_keys */
	struct totals_duration durations[DURATIONS];
	struct totals_size sizes[SIZES];
};

/* One live worker as it was last seen: no counter of its own goes below this. */
struct totals_worker {
	const struct seg *seg; /* borrowed; until totals_fold */
	struct totals_counts seen;
	struct totals_tallies tallies;
	struct request_seen requests;
};

struct totals {
	struct totals_counts dead;
	struct totals_tallies dead_tallies;
	struct request_keys request_keys;
	struct totals_worker **workers; /* owned */
	size_t n, capacity;
	uint64_t seq; /* of the last snapshot */
};

struct totals_snapshot {
	double t;    /* Unix seconds */
	double mono; /* CLOCK_BOOTTIME, seconds */
	uint64_t seq;
	struct totals_tallies tallies;
	struct totals_counts sum; /* no number above INT64_MAX: it fits JSON's */
};

/* Zeroed is a fine start. */
void totals_finish(struct totals *t);
/* A worker was reaped: its counters stay, its gauges go. Exactly once for each segment,
 * before it is closed. last (NULL: nobody asks): its counters, as they went in. */
void totals_fold(struct totals *t, const struct seg *s, uint64_t last[STAT_COUNT]);
/* One pass over the segments of all workers that were not folded. */
void totals_take(
    struct totals *t, const struct seg *const *live, size_t n, struct totals_snapshot *out);
/* A worker as the last snapshot saw it; NULL: it was not there yet. */
const struct totals_worker *totals_of(const struct totals *t, const struct seg *s);
/* How many requests a histogram holds. */
uint64_t totals_latency_count(const uint64_t counts[HIST_BUCKETS]);
/* Counts that fit JSON's numbers (as all of these do), in their order. */
json_t *totals_list_to_json(const uint64_t *counts, size_t n);
