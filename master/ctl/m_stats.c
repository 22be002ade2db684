/* stats.get, stats.schema, stats.history, stats.subscribe: numbers out of shared memory;
 * reading changes nothing. SPDX-License-Identifier: MIT */
#include "master/clock.h"
#include "master/ctl/ctl.h"
#include "master/ctl/facts.h"
#include "master/master.h"
#include "master/minder.h"
#include "master/procfs.h"

#include <math.h>
#include <stdio.h>

#define HISTORY_DEFAULT_S 600
#define HISTORY_POINTS 700 /* about so many per series when nobody says how many */
#define FLAT_KEY_MAX 128

enum {
	PART_TOTALS = 1,
	PART_WORKERS = 2,
	PART_LATENCY = 4,
	PART_STATUS = 8,
	PART_NIC = 16
};

struct want {
	unsigned parts;
	bool as_text;
	bool by_worker;
};

static struct want
read_want(const struct ctl_call *call)
{
	static const struct {
		const char *word;
		unsigned part;
	} words[] = {{"totals", PART_TOTALS}, {"workers", PART_WORKERS},
	    {"latency", PART_LATENCY}, {"status", PART_STATUS}, {"nic", PART_NIC}};
	struct want w = {.parts = 0};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (ctl_param_selects(call, "select", words[i].word))
			w.parts |= words[i].part;
	if (!ctl_has_param(call, "select"))
		w.parts &= ~(unsigned)PART_WORKERS;
	w.as_text = strcmp(ctl_param_str(call, "bigint", "number"), "string") == 0;
	w.by_worker = strcmp(ctl_param_str(call, "by", "server"), "worker") == 0;
	return w;
}

/* Those that occurred. */
static json_t *
make_status(const uint64_t codes[SEG_CODES], bool as_text)
{
	json_t *v = json_object();

	for (int i = 0; i < SEG_CODES; i++) {
		char name[16];

		if (codes[i] == 0)
			continue;
		snprintf(name, sizeof(name), "%d", SEG_CODE_FIRST + i);
		json_object_set_new(v, name, facts_number(codes[i], as_text));
	}
	return v;
}

/* What a worker counted, as the whole instance has it. */
static void
add_parts(
    json_t *v, const struct proc *p, const struct totals_worker *w, const struct want *want)
{
	const struct facts_durations d = {
	    .counts = w->seen.latency,
	    .sum_us = w->tallies.durations[DURATION_request].sum_us,
	    .window = w->seen.latency,
	    .window_s = (double)proc_age_ms(p) / 1000,
	};

	if (want->parts & PART_TOTALS)
		json_object_set_new(
		    v, "totals", facts_counts(w->seen.stats, want->as_text));
	if (want->parts & PART_STATUS)
		json_object_set_new(
		    v, "status", make_status(w->tallies.codes, want->as_text));
	if (want->parts & PART_LATENCY)
		json_object_set_new(v, "latency", facts_latency_of(&d, want->as_text));
}

static json_t *
list_workers(const struct master *m, const struct want *want)
{
	json_t *list = json_array();

	for (const struct proc *p = m->fleet.procs; p != NULL; p = p->next) {
		const struct totals_worker *w =
		    p->seg ? totals_of(&m->minder->totals, p->seg) : NULL;
		json_t *v;

		if (w == NULL)
			continue;
		v = minder_name(p);
		json_object_set_new(v, "state", json_string(life_name(p->state)));
		if (want->by_worker)
			add_parts(v, p, w, want);
		if (want->parts & PART_WORKERS)
			json_object_set_new(
			    v, "counts", facts_counts(w->seen.stats, want->as_text));
		json_array_append_new(list, v);
	}
	return list;
}

static json_t *
make_nic(void)
{
	const struct procfs_nic n = procfs_nic();

	if (n.in_bytes < 0)
		return json_null();
	return json_pack(
	    "{s:I, s:I}", "in", (json_int_t)n.in_bytes, "out", (json_int_t)n.out_bytes);
}

/* All from one pass over the segments. */
static json_t *
make_stats(struct master *m, const struct want *w, bool stamped)
{
	struct totals_snapshot s;
	json_t *v;

	minder_take(m->minder, &s);
	v = json_pack("{s:f}", "mono", s.mono);
	if (stamped) {
		json_object_set_new(v, "t", json_real(s.t));
		json_object_set_new(v, "seq", json_integer((json_int_t)s.seq));
	}
	if (w->by_worker) {
		json_object_set_new(v, "workers", list_workers(m, w));
		return v;
	}
	if (w->parts & PART_TOTALS)
		json_object_set_new(v, "totals", facts_counts(s.sum.stats, w->as_text));
	if (w->parts & PART_STATUS)
		json_object_set_new(v, "status", make_status(s.tallies.codes, w->as_text));
	if (w->parts & PART_LATENCY)
		json_object_set_new(v, "latency", facts_latency(m, &s, w->as_text));
	if (w->parts & PART_WORKERS)
		json_object_set_new(v, "workers", list_workers(m, w));
	if (w->parts & PART_NIC)
		json_object_set_new(v, "nic", make_nic());
	return v;
}

int
ctl_stats_get(struct ctl_call *call)
{
	struct want w = read_want(call);

	return ctl_reply(call, make_stats(call->master, &w, true));
}

int
ctl_stats_schema(struct ctl_call *call)
{
	return ctl_reply(call, facts_stats_schema());
}

/* ---- Subscription ---- */

struct stream {
	struct want want;
	bool delta;
	json_t *last; /* owned; flat. NULL: nothing was sent yet */
};

/* {"totals":{"requests":1}} -> {"totals.requests":1}; workers by slot and epoch. */
static void
flatten(json_t *to, const char *prefix, json_t *v)
{
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_number(v)) {
		json_object_set(to, prefix, v);
		return;
	}
	json_object_foreach(v, key, member)
	{
		char name[FLAT_KEY_MAX];

		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "", key);
		flatten(to, name, member);
	}
	json_array_foreach(v, i, member)
	{
		char name[FLAT_KEY_MAX];

		snprintf(name, sizeof(name),
		    "%s.w%" JSON_INTEGER_FORMAT "e%" JSON_INTEGER_FORMAT, prefix,
		    json_integer_value(json_object_get(member, "slot")),
		    json_integer_value(json_object_get(member, "epoch")));
		flatten(to, name, member);
	}
}

/* Counters grow by so much; everything else is so much. */
static bool
is_counter(const char *flat)
{
	const char *name = strrchr(flat, '.');

	if (name == NULL)
		return false;
	if (strncmp(flat, "status.", 7) == 0 || strcmp(flat, "latency.count") == 0 ||
	    strcmp(flat, "latency.sum") == 0)
		return true;
	for (unsigned i = 0; i < STAT_COUNT; i++)
		if (strcmp(name + 1, totals_fields[i].name) == 0)
			return !totals_fields[i].gauge && strncmp(flat, "latency.", 8) != 0;
	return false;
}

static json_t *
make_delta(const json_t *before, json_t *now)
{
	json_t *d = json_object(), *v;
	const char *key;

	json_object_foreach(now, key, v)
	{
		json_t *old = json_object_get(before, key);

		if (old != NULL && json_equal(old, v))
			continue;
		if (old != NULL && is_counter(key))
			json_object_set_new(d, key,
			    json_integer(json_integer_value(v) - json_integer_value(old)));
		else
			json_object_set(d, key, v);
	}
	return d;
}

static json_t *
on_make(struct master *m, void *ctx, bool first)
{
	struct stream *s = ctx;
	json_t *v = make_stats(m, &s->want, first), *flat, *d;

	if (!s->delta)
		return v;
	flat = json_object();
	flatten(flat, "", v);
	json_object_del(flat, "t");
	json_object_del(flat, "seq");
	d = s->last ? json_pack("{s:o}", "d", make_delta(s->last, flat)) : NULL;
	json_decref(s->last);
	s->last = flat;
	if (d == NULL)
		return v;
	json_decref(v);
	return d;
}

static void
on_finish(void *ctx)
{
	struct stream *s = ctx;

	json_decref(s->last);
	free(s);
}

int
ctl_stats_subscribe(struct ctl_call *call)
{
	static const struct ctl_stream_ops ops = {"stats", on_make, on_finish};
	struct stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ctl_fail(call, CTL_E_OVERLOADED, NULL, "out of memory");
	s->want = read_want(call);
	s->delta = ctl_param_bool(call, "delta", false);
	return ctl_stream(call, ctl_param_int(call, "interval_ms", 1000), &ops, s);
}

/* ---- History ---- */

static json_t *
point_to_json(float p)
{
	if (isnan(p))
		return json_null();
	/* Three digits behind the point are more than a float of this size holds. */
	return p < 1e6f ? json_real((double)(int64_t)((double)p * 1000 + 0.5) / 1000)
			: json_integer((json_int_t)p);
}

static json_t *
read_series(
    const struct history *h, enum history_series s, const struct history_range *range)
{
	float *points = malloc((range->n + 1) * sizeof(*points));
	json_t *list = json_array();

	if (points == NULL)
		return list;
	history_read(h, s, range, points);
	for (size_t i = 0; i < range->n; i++)
		json_array_append_new(list, point_to_json(points[i]));
	free(points);
	return list;
}

static unsigned
choose_step(unsigned since_s)
{
	unsigned step_s = 1;

	if (since_s > HISTORY_POINTS)
		step_s = (since_s / HISTORY_POINTS + 9) / 10 * 10;
	return step_s;
}

int
ctl_stats_history(struct ctl_call *call)
{
	const struct history *h = call->master->minder->history;
	unsigned since_s = (unsigned)ctl_param_int(call, "since_s", HISTORY_DEFAULT_S);
	unsigned step_s = (unsigned)ctl_param_int(call, "step_s", choose_step(since_s));
	const json_t *names = json_object_get(call->params, "series"), *name;
	struct history_range range;
	json_t *series;
	double t0;
	size_t i;

	json_array_foreach((json_t *)names, i, name)
	{
		if (history_series_find(json_string_value(name)) == HISTORY_SERIES_COUNT)
			return ctl_fail(call, CTL_E_INVALID_PARAMS,
			    json_pack("{s:s, s:s}", "param", "series", "expected",
				"names of stats.schema's series"),
			    "no series %s: stats.schema lists them",
			    json_string_value(name));
	}
	/* The second ring reaches further back than the first. */
	if (since_s > HISTORY_FINE && step_s < HISTORY_COARSE_S)
		step_s = HISTORY_COARSE_S;
	range = history_find(h, since_s, step_s);
	t0 = ctl_now() - (double)(clock_ms() - range.first_s * 1000) / 1000;
	series = json_object();
	for (unsigned s = 0; s < HISTORY_SERIES_COUNT; s++)
		if (ctl_param_selects(call, "series", history_lines[s].name))
			json_object_set_new(
			    series, history_lines[s].name, read_series(h, s, &range));
	return ctl_reply(call, json_pack("{s:f, s:i, s:o}", "t0", t0, "step_s",
				   (int)range.step_s, "series", series));
}
