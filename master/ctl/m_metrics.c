/* metrics.get, metrics.durations, metrics.server: what a scrape of /metrics needs beyond
 * the answers other programs ask for. SPDX-License-Identifier: MIT */
#include "master/ctl/ctl.h"
#include "master/ctl/facts.h"
#include "master/master.h"
#include "master/minder.h"

int
ctl_metrics_get(struct ctl_call *call)
{
	return ctl_reply(call, minder_take_metrics(call->master->minder));
}

int
ctl_metrics_durations(struct ctl_call *call)
{
	struct totals_snapshot s;
	json_t *all = json_object();

	minder_take(call->master->minder, &s);
	for (size_t i = 0; i < DURATIONS; i++) {
		const struct totals_duration *d = &s.tallies.durations[i];

		json_object_set_new(all, totals_durations[i].name,
		    json_pack("{s:o, s:f}", "classic", facts_classes(d->classes), "sum_s",
			(double)d->sum_us / 1e6));
	}
	return ctl_reply(call, json_pack("{s:o}", "durations", all));
}

static json_t *
make_log_messages(const struct totals_snapshot *s)
{
	json_t *v = json_object();

	for (unsigned i = 0; i < LOG_LEVELS; i++)
		json_object_set_new(
		    v, log_level_name(i), json_integer((json_int_t)s->tallies.logged[i]));
	return v;
}

int
ctl_metrics_server(struct ctl_call *call)
{
	struct totals_snapshot s;

	minder_take(call->master->minder, &s);
	return ctl_reply(call, json_pack("{s:o}", "log_messages", make_log_messages(&s)));
}
