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

unsigned
hist_bucket(uint64_t us)
{
	unsigned exponent, below = 0;
	uint64_t mantissa;

	if (us <= 1)
		return 0;
	exponent = 63u - (unsigned)__builtin_clzll(us);
	if (exponent >= 32)
		return HIST_BUCKETS - 1;
	mantissa = us << (63u - exponent);
	/* The number of boundaries strictly below the mantissa, found without a branch:
	 * durations are as good as random, so half of all guesses would be wrong. */
	for (unsigned step = HIST_PER_DOUBLING / 2; step > 0; step /= 2)
		below += mantissas[below + step - 1] < mantissa ? step : 0;
	below += mantissas[below] < mantissa;
	return exponent * HIST_PER_DOUBLING + below;
}

double
hist_upper(unsigned bucket)
{
	double whole = (double)(1ull << (bucket / HIST_PER_DOUBLING));

	return whole *
	       ((double)mantissas[bucket % HIST_PER_DOUBLING] / (double)(1ull << 63));
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
