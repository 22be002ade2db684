/* What the workers of one place have counted, the present and all before them: never less
 * than it was. The counters are those of master/slot_counts.def, whose head says how
 * another one is added; and processor time, which the kernel counts.
 *
 * A place that is scaled away keeps what it has, and is told on, as long as the instance
 * lives: so the sum over places is that of the instance, and whoever serves there later
 * counts on. There are at most FLEET_MAX of them. SPDX-License-Identifier: MIT */
#pragma once

#include "common/seg.h"

#include <jansson.h>

struct slot_counts {
#define COUNT(stat, ...) uint64_t stat;
#include "master/slot_counts.def"
#undef COUNT
	uint64_t user_ticks, system_ticks; /* of sysconf(_SC_CLK_TCK) */
};

/* Adds the counters of a worker as they were last seen (totals_counts.stats). */
void slot_counts_add(struct slot_counts *to, const uint64_t stats[STAT_COUNT]);
void slot_counts_add_cpu(
    struct slot_counts *to, uint64_t user_ticks, uint64_t system_ticks);
/* The members of a row of metrics.workers, those of processor time left out. */
void slot_counts_put(const struct slot_counts *c, json_t *row);
