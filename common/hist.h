/* Histograms with the boundaries of Prometheus' native schema 4: sixteen buckets to a
 * doubling, so a quantile is off by at most 4.4 %. Microseconds in, from 1 us to 2^32 us
 * (71 minutes). SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#define HIST_PER_DOUBLING 16
#define HIST_BUCKETS (32 * HIST_PER_DOUBLING + 1)

/* The bucket of a value: bucket i holds what is above 2^((i-1)/16) and at most 2^(i/16);
 * bucket 0 everything up to 1, the last one everything above. */
unsigned hist_bucket(uint64_t us);
/* The upper boundary of a bucket, microseconds. */
double hist_upper(unsigned bucket);
/* The value below which the part q (0 .. 1) of n counts lies; 0 when all are 0. */
double hist_quantile(const uint64_t counts[HIST_BUCKETS], double q);
