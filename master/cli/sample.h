/* One look at the counters, and rates between two: for `stats -w` and `top`.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <jansson.h>

struct sample {
	double t; /* Unix seconds; 0: none yet */
	double requests, in_flight, connections;
	double classes[6]; /* [2]: answers of status 200-299 */
	double bytes_in, bytes_out;
	double p50, p90, p99; /* microseconds; -1: not known */
};

/* Of a stats.get reply or a stats notification. */
void sample_read(struct sample *s, const json_t *stats);
/* Per second between two looks; never negative. 0 when no time has passed. */
double sample_rate(
    const struct sample *then, const struct sample *now, double was, double is);
