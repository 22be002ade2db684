/* workers.list, workers.get, workers.trace: who they are and what they do.
 * SPDX-License-Identifier: MIT */
#include "master/clock.h"
#include "master/ctl/ctl.h"
#include "master/ctl/facts.h"
#include "master/master.h"
#include "master/minder.h"
#include "master/mold.h"
#include "master/procfs.h"

#define CRASHES_SHOWN 5
#define TRACE_WAIT_MS (2 * TRACE_LIMIT_MS)

/* A row: a process, or a slot that has none (p NULL). */
struct row {
	struct master *m;
	const struct slot *s;
	const struct proc *p;
	const struct totals_counts *counts; /* NULL: none */
};

static json_t *
integer_or_null(int64_t n)
{
	return n >= 0 ? json_integer(n) : json_null();
}

static json_t *
get_slot(const struct row *r)
{
	return json_integer(r->s->index);
}

static json_t *
get_pid(const struct row *r)
{
	return r->p && r->p->pid > 0 ? json_integer(r->p->pid) : json_null();
}

static json_t *
get_generation(const struct row *r)
{
	return r->p ? json_integer(r->p->gen->number) : json_null();
}

static json_t *
get_epoch(const struct row *r)
{
	return json_integer(r->p ? r->p->epoch : r->s->epoch);
}

static json_t *
get_state(const struct row *r)
{
	return json_string(life_name(r->p ? r->p->state : LIFE_DEAD));
}

/* Its part in the slot. */
static json_t *
get_role(const struct row *r)
{
	if (r->p == NULL)
		return json_string("missing");
	if (r->p == r->s->serving)
		return json_string("serving");
	return json_string(r->p == r->s->coming ? "coming" : "leaving");
}

static json_t *
get_since(const struct row *r)
{
	return r->p ? json_real((double)(clock_ms() - r->p->since_ms) / 1000) : json_null();
}

static json_t *
get_booted(const struct row *r)
{
	return json_boolean(r->p && r->p->was_ready);
}

static json_t *
get_age(const struct row *r)
{
	return r->p ? json_real((double)proc_age_ms(r->p) / 1000) : json_null();
}

static json_t *
get_count(const struct row *r, enum stat_id id)
{
	return r->counts ? json_integer((json_int_t)r->counts->stats[id]) : json_null();
}

static json_t *
get_requests(const struct row *r)
{
	return get_count(r, STAT_requests);
}

static json_t *
get_in_flight(const struct row *r)
{
	return get_count(r, STAT_in_flight);
}

static json_t *
get_queued(const struct row *r)
{
	return get_count(r, STAT_queued);
}

static json_t *
get_threads(const struct row *r)
{
	return get_count(r, STAT_threads);
}

static json_t *
get_connections(const struct row *r)
{
	return get_count(r, STAT_connections);
}

static json_t *
get_errors_5xx(const struct row *r)
{
	return get_count(r, STAT_responses_5xx);
}

/* What a process uses, as the meter last saw it. */
static json_t *
known(int64_t bytes)
{
	return bytes > 0 ? json_integer(bytes) : json_null();
}

static json_t *
get_rss(const struct row *r)
{
	return known(r->p ? r->p->usage.rss_bytes : 0);
}

static json_t *
get_pss(const struct row *r)
{
	return known(r->p ? r->p->usage.pss_bytes : 0);
}

static json_t *
get_uss(const struct row *r)
{
	return known(r->p ? r->p->usage.uss_bytes : 0);
}

static json_t *
get_cpu(const struct row *r)
{
	if (r->p == NULL || r->p->pid <= 0)
		return json_null();
	return json_real((double)(r->p->usage.user_ticks + r->p->usage.system_ticks) /
			 (double)sysconf(_SC_CLK_TCK));
}

static json_t *
get_loop_lag(const struct row *r)
{
	return get_count(r, STAT_loop_lag_us);
}

static json_t *
get_restarts(const struct row *r)
{
	return json_integer(r->s->restarts);
}

static json_t *
get_last_exit(const struct row *r)
{
	if (r->s->last_cause[0] == '\0')
		return json_null();
	return json_pack("{s:s, s:s, s:f}", "reason", proc_reason_name(r->s->last_reason),
	    "cause", r->s->last_cause, "at", r->s->last_at);
}

static json_t *
get_heartbeat_age(const struct row *r)
{
	return facts_heartbeat_age(r->p);
}

static const struct {
	const char *name;
	json_t *(*get)(const struct row *r);
} fields[] = {
    {"slot", get_slot},
    {"pid", get_pid},
    {"generation", get_generation},
    {"epoch", get_epoch},
    {"state", get_state},
    {"role", get_role},
    {"since", get_since},
    {"booted", get_booted},
    {"age_s", get_age},
    {"requests", get_requests},
    {"errors_5xx", get_errors_5xx},
    {"in_flight", get_in_flight},
    {"queued", get_queued},
    {"threads", get_threads},
    {"connections", get_connections},
    {"loop_lag_us", get_loop_lag},
    {"rss_bytes", get_rss},
    {"pss_bytes", get_pss},
    {"uss_bytes", get_uss},
    {"cpu_s", get_cpu},
    {"restarts", get_restarts},
    {"last_exit", get_last_exit},
    {"heartbeat_age_s", get_heartbeat_age},
};

#define FIELDS_ALWAYS 2 /* the first ones */

static bool
is_field(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			return true;
	return false;
}

static json_t *
make_row(struct ctl_call *call, const struct slot *s, const struct proc *p)
{
	struct row r = {.m = call->master, .s = s, .p = p};
	const struct totals_worker *w = NULL;
	json_t *v = json_object();

	if (p != NULL && p->seg != NULL)
		w = totals_of(&r.m->minder->totals, p->seg);
	r.counts = w ? &w->seen : NULL;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (i < FIELDS_ALWAYS || ctl_param_selects(call, "fields", fields[i].name))
			json_object_set_new(v, fields[i].name, fields[i].get(&r));
	return v;
}

/* A slot: who serves, who comes, who is leaving; or that it should have somebody. */
static void
add_slot(struct ctl_call *call, const struct slot *s, json_t *list)
{
	const struct fleet *f = &call->master->fleet;
	size_t before = json_array_size(list);

	for (const struct proc *p = f->procs; p != NULL; p = p->next)
		if (p->slot == s->index)
			json_array_insert_new(list, before, make_row(call, s, p));
	if (json_array_size(list) == before && s->index < f->wanted)
		json_array_append_new(list, make_row(call, s, NULL));
}

/* So that counts are those of now. */
static void
look(struct master *m)
{
	struct totals_snapshot s;

	minder_take(m->minder, &s);
	meter_look(&m->minder->meter, m);
}

int
ctl_workers_list(struct ctl_call *call)
{
	const json_t *names = json_object_get(call->params, "fields"), *name;
	const struct fleet *f = &call->master->fleet;
	json_t *list;
	size_t i;

	json_array_foreach((json_t *)names, i, name)
	{
		if (!is_field(json_string_value(name)))
			return ctl_fail(call, CTL_E_INVALID_PARAMS,
			    json_pack("{s:s, s:s}", "param", "fields", "expected",
				"members of workers.list"),
			    "no field %s: without fields you get all of them",
			    json_string_value(name));
	}
	look(call->master);
	list = json_array();
	for (unsigned slot = 0; slot < FLEET_MAX; slot++)
		if (f->slots[slot] != NULL)
			add_slot(call, f->slots[slot], list);
	return ctl_reply(call, json_pack("{s:o}", "workers", list));
}

/* The slot of a call; NULL after an answer that there is none. */
static struct slot *
find_slot(struct ctl_call *call)
{
	unsigned i = (unsigned)ctl_param_int(call, "slot", 0);
	struct fleet *f = &call->master->fleet;

	if (i < FLEET_MAX && f->slots[i] != NULL &&
	    (i < f->wanted || f->slots[i]->serving != NULL || f->slots[i]->coming != NULL))
		return f->slots[i];
	ctl_fail(call, CTL_E_NOT_FOUND, json_pack("{s:i}", "what", (int)i),
	    "no worker %u: there are 0 to %u", i, f->wanted - 1);
	return NULL;
}

static json_t *
limits_to_json(const struct proc *p)
{
	const struct recycle_limits *l = &p->minded.limits;

	if (!p->minded.drawn)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "max_requests",
	    l->max_requests ? json_integer((json_int_t)l->max_requests) : json_null(),
	    "max_age_s",
	    l->max_age_ms ? json_real((double)l->max_age_ms / 1000) : json_null(),
	    "max_rss_bytes", l->max_rss ? json_integer(l->max_rss) : json_null());
}

static void
add_details(json_t *v, struct master *m, const struct proc *p)
{
	const struct totals_worker *w = totals_of(&m->minder->totals, p->seg);

	json_object_set_new(v, "os_threads", integer_or_null(procfs_threads(p->pid)));
	json_object_set_new(v, "loaded_app", ctl_text(str_of(p->gen->heritage.conf.app)));
	json_object_set_new(v, "limits", limits_to_json(p));
	json_object_set_new(v, "forked",
	    json_boolean(p->gen->mold != NULL && p->gen->mold->state == MOLD_PROVEN));
	if (w != NULL)
		json_object_set_new(v, "counts", facts_counts(w->seen.stats, false));
}

int
ctl_workers_get(struct ctl_call *call)
{
	struct slot *s = find_slot(call);
	const struct proc *p;
	json_t *v;

	if (s == NULL)
		return 0;
	p = s->serving ? s->serving : s->coming;
	look(call->master);
	v = make_row(call, s, p);
	if (p != NULL && p->seg != NULL && p->pid > 0)
		add_details(v, call->master, p);
	json_object_set_new(v, "crashes",
	    crashes_of_slot(&call->master->minder->crashes, s->index, CRASHES_SHOWN));
	return ctl_reply(call, v);
}

/* ---- Trace ---- */

/* All of them, or the one that holds the GIL. */
static json_t *
threads_wanted(const struct ctl_call *call, json_t *threads)
{
	json_t *list, *one;
	size_t i;

	if (strcmp(ctl_param_str(call, "threads", "all"), "all") == 0)
		return json_incref(threads);
	list = json_array();
	json_array_foreach(threads, i, one)
	{
		if (json_is_true(json_object_get(one, "current")))
			json_array_append(list, one);
	}
	return list;
}

static void
on_traced(void *ctx, const struct trace_result *r)
{
	struct ctl_call *call = ctx;

	if (r->gone)
		ctl_fail(call, CTL_E_WORKER_GONE, json_pack("{s:i}", "worker", (int)r->pid),
		    "%s", r->problem);
	else if (r->problem != NULL)
		ctl_fail(call, CTL_E_TIMEOUT, NULL, "%s", r->problem);
	else
		ctl_reply(call, json_pack("{s:i, s:I, s:o}", "pid", (int)r->pid, "took_us",
				    (json_int_t)r->took_us, "threads",
				    threads_wanted(call, r->threads)));
}

static void
on_trace_end(struct ctl_call *call)
{
	tracer_forget(&call->master->minder->tracer, call);
}

int
ctl_workers_trace(struct ctl_call *call)
{
	struct slot *s = find_slot(call);
	const struct proc *p;
	struct err e = {""};

	if (s == NULL)
		return 0;
	p = s->serving ? s->serving : s->coming;
	if (p == NULL)
		return ctl_fail(call, CTL_E_WORKER_GONE,
		    json_pack("{s:i}", "worker", (int)s->index),
		    "nobody serves in slot %u now", s->index);
	if (tracer_ask(&call->master->minder->tracer,
		&(struct trace_target){p->pid, p->trace_fd, p->seg}, on_traced, call,
		&e) < 0)
		return ctl_fail(call, CTL_E_FAILED_PRECONDITION,
		    json_pack("{s:s}", "why", life_name(p->state)), "%s", e.text);
	return ctl_defer(call, TRACE_WAIT_MS, on_trace_end, NULL);
}
