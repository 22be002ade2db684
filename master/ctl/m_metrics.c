/* metrics.get, metrics.durations, metrics.server: what a scrape of /metrics needs beyond
 * the answers other programs ask for. SPDX-License-Identifier: MIT */
#include "common/build.h"
#include "master/chores.h"
#include "master/ctl/facts.h"
#include "master/ctl/server.h"
#include "master/master.h"
#include "master/minder.h"

#include <event2/event.h>

int
ctl_metrics_get(struct ctl_call *call)
{
	return ctl_reply(call, minder_take_metrics(call->master->minder));
}

static json_t *
make_sizes(const struct totals_tallies *t)
{
	json_t *all = json_object();

	for (size_t i = 0; i < SIZES; i++) {
		const struct totals_size *size = &t->sizes[i];
		json_t *bounds = json_array();

		for (unsigned k = 0; k < HIST_SIZE_BOUNDS; k++)
			json_array_append_new(
			    bounds, json_integer((json_int_t)hist_size_bound(k)));
		json_object_set_new(all, totals_sizes[i].name,
		    json_pack("{s:{s:o, s:o}, s:I}", "classic", "bounds_bytes", bounds,
			"counts", totals_list_to_json(size->classes, HIST_SIZE_CLASSES),
			"sum_bytes", (json_int_t)size->sum));
	}
	return all;
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
		    json_pack("{s:o, s:f, s:I}", "classic", facts_classes(d->classes),
			"sum_s", (double)d->sum_us / 1e6, "count",
			(json_int_t)totals_latency_count(d->bucket)));
	}
	return ctl_reply(call,
	    json_pack("{s:o, s:o}", "durations", all, "sizes", make_sizes(&s.tallies)));
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
	struct master *m = call->master;
	json_t *v = selfcount_to_json(&m->self, &m->events);
	struct totals_snapshot s;

	minder_take(m->minder, &s);
	json_object_set_new(v, "log_messages", make_log_messages(&s));
	json_object_set_new(v, "draining", json_boolean(chores_draining(m)));
	json_object_set_new(v, "connections",
	    json_pack("{s:I}", "jsonrpc", (json_int_t)call->ctl->n_conns));
	json_object_set_new(v, "config",
	    json_pack("[{s:o, s:i}]", "revision", ctl_config_revision(m), "value", 1));
	json_object_set_new(v, "build",
	    json_pack("[{s:s, s:s, s:s, s:s, s:i}]", "version", SHOAL_VERSION, "commit",
		build_commit, "openssl", build_openssl, "libevent", event_get_version(),
		"value", 1));
	json_object_set_new(v, "accounting",
	    facts_accounting(m, ctl_roles_accounts(&call->ctl->roles, &call->peer)));
	json_object_set_new(v, "python",
	    json_pack("[{s:s, s:s, s:i}]", "version", m->python.version, "implementation",
		"CPython", "value", 1));
	return ctl_reply(call, v);
}
