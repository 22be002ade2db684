/* The master's counts of itself as JSON, and back. SPDX-License-Identifier: MIT */
#include "master/selfcount.h"

static const char *const mode_names[SELFCOUNT_MODES] = {
    [SELFCOUNT_ROLLING] = "rolling",
    [SELFCOUNT_BLUEGREEN] = "bluegreen",
    [SELFCOUNT_ROLLBACK] = "rollback",
    [SELFCOUNT_UPGRADE] = "upgrade",
};

static const char *const call_results[] = {"error", "ok"};

/* ---- There ---- */

/* {"classic":{"bounds_s","counts"},"sum_s"} */
static json_t *
times_to_json(const struct selfcount_times *t, const uint64_t bounds_ns[HIST_BOUNDS])
{
	json_t *bounds = json_array(), *counts = json_array();

	for (size_t i = 0; i < HIST_BOUNDS; i++)
		json_array_append_new(bounds, json_real((double)bounds_ns[i] / 1e9));
	for (size_t i = 0; i < HIST_CLASSES; i++)
		json_array_append_new(counts, json_integer((json_int_t)t->classes[i]));
	return json_pack("{s:{s:o, s:o}, s:f}", "classic", "bounds_s", bounds, "counts",
	    counts, "sum_s", (double)t->sum_us / 1e6);
}

static const char *
result_name(size_t i)
{
	return job_state_name((enum job_state)(JOB_DONE + i));
}

static json_t *
reloads_to_json(const struct selfcount *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < SELFCOUNT_MODES; i++)
		for (size_t k = 0; k < SELFCOUNT_RESULTS; k++)
			json_array_append_new(list,
			    json_pack("{s:s, s:s, s:I}", "mode", mode_names[i], "result",
				result_name(k), "count", (json_int_t)s->reloads[i][k]));
	return list;
}

static json_t *
reload_times_to_json(const struct selfcount *s)
{
	json_t *list = json_array(), *one;

	for (size_t i = 0; i < SELFCOUNT_MODES; i++) {
		one = times_to_json(&s->reload_times[i], selfcount_reload_bounds_ns);
		json_object_set_new(one, "mode", json_string(mode_names[i]));
		json_array_append_new(list, one);
	}
	return list;
}

static const char *
method_name(size_t i)
{
	return i < CTL_METHODS ? ctl_methods[i].name : "other";
}

/* Only methods that were called, so that a scrape stays short. */
static json_t *
calls_to_json(const struct selfcount *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i <= CTL_METHODS; i++)
		for (size_t ok = 0; ok < 2 && s->calls[i][0] + s->calls[i][1] > 0; ok++)
			json_array_append_new(list,
			    json_pack("{s:s, s:s, s:I}", "method", method_name(i), "result",
				call_results[ok], "count", (json_int_t)s->calls[i][ok]));
	return list;
}

static json_t *
events_to_counts(const struct events *ev)
{
	json_t *counts = json_object();

	for (size_t i = 0; i < EVENT_TYPES; i++)
		if (events_type_is_kept(i))
			json_object_set_new(counts, events_type_name(i),
			    json_integer((json_int_t)ev->counts[i]));
	return counts;
}

json_t *
selfcount_to_json(const struct selfcount *s, const struct events *ev)
{
	json_t *last = s->reloaded ? json_pack("{s:b, s:f}", "success", s->reload_ok, "at",
					 s->reload_at)
				   : json_null();

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o}", "reloads",
	    reloads_to_json(s), "reload_durations", reload_times_to_json(s), "last_reload",
	    last, "calls", calls_to_json(s), "call_durations",
	    times_to_json(&s->call_times, selfcount_loop_bounds_ns), "events",
	    events_to_counts(ev), "events_lost", (json_int_t)s->events_lost, "loop_lag",
	    times_to_json(&s->loop_lag, selfcount_loop_bounds_ns));
}

/* ---- And back ---- */

static uint64_t
count_of(const json_t *v)
{
	return (uint64_t)MAX(json_integer_value(v), 0);
}

static void
restore_times(struct selfcount_times *t, const json_t *from)
{
	const json_t *counts = json_object_get(json_object_get(from, "classic"), "counts");
	double sum_s = json_number_value(json_object_get(from, "sum_s"));

	for (size_t i = 0; i < HIST_CLASSES; i++)
		t->classes[i] += count_of(json_array_get(counts, i));
	if (sum_s > 0 && sum_s < 1e12)
		t->sum_us += (uint64_t)(sum_s * 1e6 + 0.5);
}

static const char *
mode_name(size_t i)
{
	return mode_names[i];
}

static const char *
call_result(size_t i)
{
	return call_results[i];
}

/* Which of n names the member is; n: none of them. */
static size_t
find(const json_t *one, const char *member, const char *(*name)(size_t i), size_t n)
{
	const char *text = json_string_value(json_object_get(one, member));
	size_t i = 0;

	while (i < n && (text == NULL || strcmp(text, name(i)) != 0))
		i++;
	return i;
}

static void
restore_reloads(struct selfcount *s, const json_t *from)
{
	const json_t *last = json_object_get(from, "last_reload");
	json_t *one;
	size_t at;

	json_array_foreach(json_object_get(from, "reloads"), at, one)
	{
		size_t i = find(one, "mode", mode_name, SELFCOUNT_MODES);
		size_t k = find(one, "result", result_name, SELFCOUNT_RESULTS);

		if (i < SELFCOUNT_MODES && k < SELFCOUNT_RESULTS)
			s->reloads[i][k] += count_of(json_object_get(one, "count"));
	}
	json_array_foreach(json_object_get(from, "reload_durations"), at, one)
	{
		size_t i = find(one, "mode", mode_name, SELFCOUNT_MODES);

		if (i < SELFCOUNT_MODES)
			restore_times(&s->reload_times[i], one);
	}
	s->reloaded = json_is_object(last);
	s->reload_ok = json_is_true(json_object_get(last, "success"));
	s->reload_at = json_number_value(json_object_get(last, "at"));
}

static void
restore_calls(struct selfcount *s, const json_t *from)
{
	json_t *one;
	size_t at;

	json_array_foreach(json_object_get(from, "calls"), at, one)
	{
		/* A method this binary has no more is another one. */
		size_t i = find(one, "method", method_name, CTL_METHODS);
		size_t ok = find(one, "result", call_result, 2);

		if (ok < 2)
			s->calls[i][ok] += count_of(json_object_get(one, "count"));
	}
	restore_times(&s->call_times, json_object_get(from, "call_durations"));
}

void
selfcount_restore(struct selfcount *s, struct events *ev, const json_t *from)
{
	const json_t *events = json_object_get(from, "events");

	restore_reloads(s, from);
	restore_calls(s, from);
	for (size_t i = 0; i < EVENT_TYPES; i++)
		ev->counts[i] += count_of(json_object_get(events, events_type_name(i)));
	s->events_lost += count_of(json_object_get(from, "events_lost"));
	restore_times(&s->loop_lag, json_object_get(from, "loop_lag"));
}
