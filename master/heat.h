/* How long requests took over a day, as a map of heat: columns of time, rows of half
 * octaves. Fed once a second by the master. SPDX-License-Identifier: MIT */
#pragma once

#include "master/totals.h"

#define HEAT_SCHEMA 1 /* of Prometheus: two buckets to a doubling */
#define HEAT_MERGED (HIST_PER_DOUBLING / 2)
/* Row 0 holds what is at most 2^(HEAT_FIRST_ROW/2) s. */
#define HEAT_FIRST_ROW (HIST_FIRST_INDEX / HEAT_MERGED)
#define HEAT_ROWS ((HIST_BUCKETS + HEAT_MERGED - 1) / HEAT_MERGED + 1)

#define HEAT_RINGS 2
#define HEAT_COLUMNS 360 /* of a ring: an hour by 10 s, a day by 4 min */
#define HEAT_FINE_S 10
#define HEAT_COARSE_S 240

/* Whose histograms are kept. */
#define HEAT_NAMES 4
extern const enum duration_id heat_names[HEAT_NAMES];

struct heat_column {
	int64_t cell; /* of the clock, in steps of its ring; the time it is of, or older */
	uint32_t rows[HEAT_ROWS];
	float p50_us, p99_us, p999_us; /* of the buckets as they were; NAN: no request */
};

/* Columns as long as they are known, the oldest first. */
struct heat_range {
	int64_t first_s; /* of the clock of heat_feed */
	unsigned step_s, n;
};

struct heat;

/* About 800 kB, touched as it fills. NULL: no memory. */
struct heat *heat_create(void);
void heat_destroy(struct heat *h);
/* now_s: monotonic. More often than once a second changes nothing. */
void heat_feed(struct heat *h, const struct totals_tallies *t, int64_t now_s);
/* What there is of the last since_s seconds. */
struct heat_range heat_find(const struct heat *h, unsigned since_s);
/* Column i of a range for heat_names[name]; NULL: nothing was counted then. */
const struct heat_column *heat_at(
    const struct heat *h, unsigned name, const struct heat_range *range, unsigned i);
/* The row of a bucket. */
unsigned heat_row(unsigned bucket);
