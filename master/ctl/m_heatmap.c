/* stats.heatmap: how long requests took, by time and duration.
 * SPDX-License-Identifier: MIT */
#include "master/clock.h"
#include "master/ctl/ctl.h"
#include "master/master.h"
#include "master/minder.h"

#define SINCE_DEFAULT_S 600

/* Without the empty ends. */
static json_t *
column_to_json(const struct heat_column *c)
{
	unsigned first = 0, end = HEAT_ROWS;
	json_t *counts;

	if (c == NULL)
		return json_null();
	while (end > 0 && c->rows[end - 1] == 0)
		end--;
	while (first < end && c->rows[first] == 0)
		first++;
	counts = json_array();
	for (unsigned i = first; i < end; i++)
		json_array_append_new(counts, json_integer(c->rows[i]));
	return json_pack("{s:i, s:o, s:f, s:f, s:f}", "offset", HEAT_FIRST_ROW + (int)first,
	    "counts", counts, "p50_us", (double)c->p50_us, "p99_us", (double)c->p99_us,
	    "p999_us", (double)c->p999_us);
}

int
ctl_stats_heatmap(struct ctl_call *call)
{
	const struct heat *h = call->master->minder->heat;
	const char *name = ctl_param_str(call, "name", "request");
	const struct heat_range range =
	    heat_find(h, (unsigned)ctl_param_int(call, "since_s", SINCE_DEFAULT_S));
	json_t *columns = json_array();
	unsigned which = 0;

	while (which < HEAT_NAMES - 1 &&
	       strcmp(totals_durations[heat_names[which]].name, name) != 0)
		which++;
	for (unsigned i = 0; i < range.n; i++)
		json_array_append_new(
		    columns, column_to_json(heat_at(h, which, &range, i)));
	return ctl_reply(call,
	    json_pack("{s:s, s:f, s:i, s:i, s:o}", "name",
		totals_durations[heat_names[which]].name, "t0",
		ctl_now() - (double)(clock_ms() - range.first_s * 1000) / 1000, "step_s",
		(int)range.step_s, "schema", HEAT_SCHEMA, "columns", columns));
}
