/* Where a duration falls among schema-4 boundaries: integer arithmetic, no logarithm.
 * SPDX-License-Identifier: MIT */
#include "common/hist.h"

/* floor(2^63 * 2^(k/16)): the boundaries within one doubling, as 64-bit mantissas. */
static const uint64_t mantissas[HIST_PER_DOUBLING] = {
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
};

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
	unsigned __int128 seconds = (unsigned __int128)ns * SECONDS_93;
	uint64_t high = (uint64_t)(seconds >> 64), mantissa;
	int length, index;
	unsigned below = 0;

	/* Below 2^-29 s nothing is told apart, and high is 0. */
	if (high == 0)
		return 0;
	length = 128 - __builtin_clzll(high);
	mantissa = (uint64_t)(seconds >> (length - 64));
	/* The number of boundaries strictly below the mantissa, found without a branch:
	 * durations are as good as random, so half of all guesses would be wrong. */
	for (unsigned step = HIST_PER_DOUBLING / 2; step > 0; step /= 2)
		below += mantissas[below + step - 1] < mantissa ? step : 0;
	below += mantissas[below] < mantissa;
	index = (length - 1 - PLACES) * HIST_PER_DOUBLING + (int)below;
	if (index <= HIST_FIRST_INDEX)
		return 0;
	return (unsigned)(MIN(index, HIST_LAST_INDEX + 1) - HIST_FIRST_INDEX);
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
