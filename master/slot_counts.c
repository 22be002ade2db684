/* Sums of one place. SPDX-License-Identifier: MIT */
#include "master/slot_counts.h"

#include <unistd.h>

/* No number above INT64_MAX: it fits JSON's. */
static void
add(uint64_t *to, uint64_t n)
{
	*to = MIN(*to + MIN(n, (uint64_t)INT64_MAX), (uint64_t)INT64_MAX);
}

void
slot_counts_add(struct slot_counts *to, const uint64_t stats[STAT_COUNT])
{
#define COUNT(stat, ...) add(&to->stat, stats[STAT_##stat]);
#include "master/slot_counts.def"
#undef COUNT
}

void
slot_counts_add_cpu(struct slot_counts *to, uint64_t user_ticks, uint64_t system_ticks)
{
	add(&to->user_ticks, user_ticks);
	add(&to->system_ticks, system_ticks);
}

static json_t *
in_units(uint64_t n, unsigned per_unit)
{
	return per_unit == 1 ? json_integer((json_int_t)n)
			     : json_real((double)n / per_unit);
}

void
slot_counts_put(const struct slot_counts *c, json_t *row)
{
#define COUNT(stat, member, per_unit)                                                      \
	json_object_set_new(row, member, in_units(c->stat, per_unit));
#include "master/slot_counts.def"
#undef COUNT
}
