/* Histograms of durations with the boundaries of Prometheus' native schema 4, in seconds:
 * sixteen buckets to a doubling, so a quantile is off by at most 4.4 %. Nanoseconds in,
 * from 1 us to an hour. Beside them the fixed boundaries of the text format, which none of
 * the others equals. And histograms of sizes, which have fixed boundaries only.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#define HIST_PER_DOUBLING 16
/* Schema 4's index of the first bucket: it holds what is at most 2^(-318/16) s (1.04 us);
 * the next one, of index -317, what is above that and at most 2^(-317/16) s. */
#define HIST_FIRST_INDEX (-318)
#define HIST_LAST_INDEX 190 /* 2^(190/16) s is 63 minutes */
#define HIST_BUCKETS (HIST_LAST_INDEX - HIST_FIRST_INDEX + 2) /* the last: all above */

#define HIST_BOUNDS 14                 /* hist_bounds_ns */
#define HIST_CLASSES (HIST_BOUNDS + 1) /* the last: all above */

/* 5 ms .. 10 s, as the clients of Prometheus have them. */
extern const uint64_t hist_bounds_ns[HIST_BOUNDS];

/* The bucket of a duration. */
unsigned hist_bucket(uint64_t ns);
/* Among the fixed boundaries: the first one it does not exceed. */
unsigned hist_class(uint64_t ns);
/* Sizes in bytes: 256 B, 1 KiB, 4 KiB .. 1 GiB. */
#define HIST_SIZE_BOUNDS 12
#define HIST_SIZE_CLASSES (HIST_SIZE_BOUNDS + 1) /* the last: all above */

static inline uint64_t
hist_size_bound(unsigned i)
{
	return UINT64_C(256) << 2 * i;
}

/* The first of them that so many bytes do not exceed. */
static inline unsigned
hist_size_class(uint64_t bytes)
{
	unsigned length;

	if (bytes <= hist_size_bound(0))
		return 0;
	length = 64 - (unsigned)__builtin_clzll(bytes - 1);
	return MIN((length - 7) / 2, HIST_SIZE_CLASSES - 1u);
}

/* The upper boundary of a bucket, microseconds; that of the last one is the one before. */
double hist_upper(unsigned bucket);
/* The value (microseconds) below which the part q (0 .. 1) of n counts lies; 0 when all are
 * 0. */
double hist_quantile(const uint64_t counts[HIST_BUCKETS], double q);
