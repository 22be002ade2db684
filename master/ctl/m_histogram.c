/* stats.histogram: how long requests took, bucket by bucket.
 * SPDX-License-Identifier: MIT */
#include "master/ctl/ctl.h"
#include "master/ctl/facts.h"
#include "master/master.h"
#include "master/minder.h"

/* Without the empty ends: they are most of it. */
static json_t *
buckets_to_json(const struct totals_duration *d)
{
	size_t first = 0, end = HIST_BUCKETS;

	while (end > 0 && d->bucket[end - 1] == 0)
		end--;
	while (first < end && d->bucket[first] == 0)
		first++;
	return json_pack("{s:i, s:i, s:o}", "schema", 4, "offset",
	    HIST_FIRST_INDEX + (int)first, "counts",
	    totals_list_to_json(d->bucket + first, end - first));
}

int
ctl_stats_histogram(struct ctl_call *call)
{
	const char *name = ctl_param_str(call, "name", "request");
	const struct totals_duration *d = NULL;
	struct totals_snapshot s;

	minder_take(call->master->minder, &s);
	for (size_t i = 0; i < DURATIONS; i++)
		if (strcmp(totals_durations[i].name, name) == 0)
			d = &s.tallies.durations[i];
	if (d == NULL)
		return ctl_fail(call, CTL_E_NOT_FOUND, json_pack("{s:s}", "what", name),
		    "no histogram %s", name);
	return ctl_reply(
	    call, json_pack("{s:f, s:s, s:I, s:f, s:o, s:o}", "t", s.t, "name", name,
		      "count", (json_int_t)totals_latency_count(d->bucket), "sum_s",
		      (double)d->sum_us / 1e6, "native", buckets_to_json(d), "classic",
		      facts_classes(d->classes)));
}
