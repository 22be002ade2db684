/* Where a duration falls among schema-4 boundaries: integer arithmetic, no logarithm, no
 * branch that depends on it. SPDX-License-Identifier: MIT */
#include "common/hist.h"

/* floor(2^63 * 2^(k/16)): the boundaries within one doubling, as 64-bit mantissas; and one
 * that nothing is above. */
static const uint64_t mantissas[HIST_PER_DOUBLING + 1] = {
    0x8000000000000000ull,
    0x85aac367cc487b14ull,
    0x8b95c1e3ea8bd6e6ull,
    0x91c3d373ab11c336ull,
    0x9837f0518db8a96full,
    0x9ef5326091a111adull,
    0xa5fed6a9b15138eaull,
    0xad583eea42a14ac6ull,
    0xb504f333f9de6484ull,
    0xbd08a39f580c36beull,
    0xc5672a115506daddull,
    0xce248c151f8480e3ull,
    0xd744fccad69d6af4ull,
    0xe0ccdeec2a94e111ull,
    0xeac0c6e7dd24392eull,
    0xf5257d152486cc2cull,
    UINT64_MAX,
};

/* A doubling in 32 equal parts, narrower than any of its buckets: the number of boundaries
 * below each part. There is at most one within it. */
static const uint8_t below_part[32] = {0, 1, 2, 3, 3, 4, 4, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10,
    10, 11, 11, 12, 12, 13, 13, 13, 14, 14, 15, 15, 15, 16, 16};

const uint64_t hist_bounds_ns[HIST_BOUNDS] = {
    5000000,
    10000000,
    25000000,
    50000000,
    75000000,
    100000000,
    250000000,
    500000000,
    750000000,
    1000000000,
    2500000000,
    5000000000,
    7500000000,
    10000000000,
};

/* floor(2^93 / 10^9): ns times this is seconds with 93 binary places, a little less than
 * the truth, by less than the distance of any whole nanosecond from the next boundary. */
#define SECONDS_93 0x89705f4136b4a597ull
#define PLACES 93

unsigned
hist_bucket(uint64_t ns)
{
	const int zeros = __builtin_clzll(ns | 1);
	uint64_t mantissa;
	int missing, bucket;
	unsigned below;

	/* All of it is in the first, and what follows would count down from there. */
	if (ns <= 1000)
		return 0;
	mantissa = (uint64_t)((unsigned __int128)(ns << zeros) * SECONDS_93 >> 64);
	/* The product has all of its digits, or one less. */
	missing = (int)(~mantissa >> 63);
	mantissa <<= missing;
	below = below_part[mantissa >> 58 & 31];
	below += mantissas[below] < mantissa;
	bucket = (127 - PLACES - missing - zeros) * HIST_PER_DOUBLING + (int)below -
		 HIST_FIRST_INDEX;
	return MIN((unsigned)bucket, HIST_BUCKETS - 1u);
}

unsigned
hist_class(uint64_t ns)
{
	unsigned i = 0;

	/* Most durations stop at the first. */
	while (i < HIST_BOUNDS && ns > hist_bounds_ns[i])
		i++;
	return i;
}

double
hist_upper(unsigned bucket)
{
	int index = MIN((int)bucket + HIST_FIRST_INDEX, HIST_LAST_INDEX);
	int whole = index >> 4; /* rounds down, also below zero */
	double part =
	    (double)mantissas[index - whole * HIST_PER_DOUBLING] / (double)(1ull << 63);

	return 1e6 * (whole < 0 ? part / (double)(1ull << -whole)
				: part * (double)(1ull << whole));
}

double
hist_quantile(const uint64_t counts[HIST_BUCKETS], double q)
{
	uint64_t total = 0, below = 0;

	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		total += counts[i];
	for (unsigned i = 0; total > 0 && i < HIST_BUCKETS; i++) {
		below += counts[i];
		if ((double)below >= q * (double)total && below > 0)
			return hist_upper(i);
	}
	return 0;
}
