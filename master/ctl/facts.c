/* How the instance is, as JSON. SPDX-License-Identifier: MIT */
#include "master/ctl/facts.h"

#include "master/accept_queue.h"
#include "master/clock.h"
#include "master/master.h"
#include "master/minder.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

json_t *
facts_number(uint64_t n, bool as_text)
{
	char text[24];

	if (!as_text)
		return json_integer((json_int_t)n);
	snprintf(text, sizeof(text), "%" PRIu64, n);
	return json_string(text);
}

json_t *
facts_counts(const uint64_t stats[STAT_COUNT], bool as_text)
{
	json_t *v = json_object();

	for (unsigned i = 0; i < STAT_COUNT; i++)
		json_object_set_new(v, totals_fields[i].name,
		    facts_number(stats[i], as_text && !totals_fields[i].gauge));
	return v;
}

json_t *
facts_stats_schema(void)
{
	json_t *fields = json_object(), *series = json_object();

	for (unsigned i = 0; i < STAT_COUNT; i++) {
		const struct totals_field *f = &totals_fields[i];

		json_object_set_new(fields, f->name,
		    json_pack("{s:s, s:s, s:s, s:s, s:b, s:s}", "kind",
			f->gauge ? "gauge" : "counter", "unit", f->unit, "agg", "sum",
			"scope", "worker", "persistent", !f->gauge, "help", f->help));
	}
	for (unsigned i = 0; i < HISTORY_SERIES_COUNT; i++)
		json_object_set_new(series, history_lines[i].name,
		    json_pack("{s:s, s:s}", "unit", history_lines[i].unit, "help",
			history_lines[i].help));
	return json_pack("{s:o, s:o}", "fields", fields, "series", series);
}

json_t *
facts_totals(struct master *m)
{
	struct totals_snapshot s;
	const uint64_t *c = s.sum.stats;

	minder_take(m->minder, &s);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "requests",
	    (json_int_t)c[STAT_requests], "bytes_in",
	    (json_int_t)(c[STAT_in_head] + c[STAT_in_body] + c[STAT_in_framing] +
			 c[STAT_in_tls]),
	    "bytes_out",
	    (json_int_t)(c[STAT_out_head] + c[STAT_out_body] + c[STAT_out_framing] +
			 c[STAT_out_tls]),
	    "errors_5xx", (json_int_t)c[STAT_responses_5xx], "aborted",
	    (json_int_t)c[STAT_aborted], "connections", (json_int_t)c[STAT_connections],
	    "in_flight", (json_int_t)c[STAT_in_flight], "crashes",
	    (json_int_t)m->minder->crashes.total);
}

json_t *
facts_rates_10s(const struct master *m)
{
	const struct history *h = m->minder->history;

	return json_pack("{s:f, s:f, s:f, s:f}", "requests",
	    history_rate(h, HISTORY_rps, 10), "bytes_in",
	    history_rate(h, HISTORY_bytes_in, 10), "bytes_out",
	    history_rate(h, HISTORY_bytes_out, 10), "errors_5xx",
	    history_rate(h, HISTORY_errors_5xx, 10));
}

json_t *
facts_latency_of(const struct facts_durations *d, bool as_text)
{
	static const struct {
		const char *name;
		double q;
	} quantiles[] = {
	    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
	bool any = totals_latency_count(d->window) > 0;
	json_t *v = json_pack("{s:s, s:o, s:o, s:f}", "unit", "us", "count",
	    facts_number(totals_latency_count(d->counts), as_text), "sum",
	    facts_number(d->sum_us, as_text), "window_s", d->window_s);

	for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
		json_object_set_new(v, quantiles[i].name,
		    any ? json_integer(
			      (json_int_t)(hist_quantile(d->window, quantiles[i].q) + 0.5))
			: json_null());
	return v;
}

json_t *
facts_latency(const struct master *m, const struct totals_snapshot *s, bool as_text)
{
	uint64_t counts[HIST_BUCKETS];
	const struct facts_durations d = {
	    .counts = s->sum.latency,
	    .sum_us = s->tallies.durations[DURATION_request].sum_us,
	    .window = counts,
	    .window_s = history_latency(m->minder->history, &s->sum, clock_ms(), counts),
	};

	return facts_latency_of(&d, as_text);
}

json_t *
facts_heartbeat_age(const struct proc *p)
{
	uint64_t beat_ns;
	int64_t age_ms;

	if (p == NULL || p->seg == NULL || !p->was_ready)
		return json_null();
	beat_ns = atomic_load_explicit(&p->seg->heartbeat_ns, memory_order_relaxed);
	if (beat_ns == 0)
		return json_null(); /* the first beat is due a second after it is ready */
	age_ms = clock_ms() - (int64_t)(beat_ns / 1000000);
	return json_real(age_ms > 0 ? (double)age_ms / 1000 : 0);
}

static bool
is_missing(const struct slot *s)
{
	return s == NULL || s->serving == NULL;
}

unsigned
facts_missing(const struct master *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->fleet.wanted; i++)
		n += is_missing(m->fleet.slots[i]);
	return n;
}

static void PRINTF_LIKE(2, 3) add_alert(json_t *list, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(list, json_string(text));
}

static void
add_queue_alerts(const struct master *m, json_t *list)
{
	for (size_t i = 0; i < m->listeners.n; i++) {
		const struct listener *l = &m->listeners.v[i];
		struct accept_queue q;

		if (!l->is_unix && accept_queue_read(l->fd, &q) && q.waiting >= q.limit)
			add_alert(list, "listener %s: accept queue full, %u wait", l->name,
			    q.waiting);
	}
}

json_t *
facts_alerts(const struct master *m)
{
	unsigned missing = facts_missing(m), stuck = fleet_count(&m->fleet, LIFE_STUCK);
	json_t *list = json_array();

	if (missing > 0 && m->up && !m->stopping)
		add_alert(list, "%u of %u slots have no worker", missing, m->fleet.wanted);
	if (stuck > 0)
		add_alert(list, "%u workers are stuck", stuck);
	for (unsigned i = 0; i < m->fleet.wanted; i++) {
		const struct slot *s = m->fleet.slots[i];

		if (s != NULL && s->backoff.failures >= MINDER_CRASH_LOOP &&
		    (s->serving == NULL || proc_age_ms(s->serving) < BACKOFF_HEALTHY_MS))
			add_alert(list, "worker %u: %u short lives in a row, %s", i,
			    s->backoff.failures, s->last_cause);
	}
	add_queue_alerts(m, list);
	return list;
}

json_t *
facts_classes(const uint64_t classes[HIST_CLASSES])
{
	json_t *bounds = json_array(), *counts = json_array();

	for (size_t i = 0; i < HIST_BOUNDS; i++)
		json_array_append_new(bounds, json_real((double)hist_bounds_ns[i] / 1e9));
	for (size_t i = 0; i < HIST_CLASSES; i++)
		json_array_append_new(counts, json_integer((json_int_t)classes[i]));
	return json_pack("{s:o, s:o}", "bounds_s", bounds, "counts", counts);
}
