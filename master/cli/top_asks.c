/* Questions and answers of `shoalctl top`. SPDX-License-Identifier: MIT */
#include "master/cli/top_asks.h"

#include "master/cli/trace.h"

#include <stdio.h>

#define EVENTS_FIRST 50
#define HEAT_S 60

static void
ask(struct top_asks *a, enum top_ask what, const char *method, json_t *params)
{
	if (a->ids[what] == 0)
		a->ids[what] = link_send(a->link, method, params);
	json_decref(params);
}

void
top_asks_look(struct top_asks *a)
{
	const struct top_list *l = top_list_of(a->m->view);

	if (a->ids[TOP_ASK_STATUS] == 0)
		a->asked_at = link_now();
	ask(a, TOP_ASK_STATUS, "server.status", NULL);
	ask(a, TOP_ASK_STATS, "stats.get",
	    json_pack("{s:[s,s,s]}", "select", "totals", "latency", "status"));
	ask(a, TOP_ASK_REQUESTS, "requests.inflight",
	    json_pack("{s:i}", "limit", TOP_REQUESTS_MAX));
	if (l != NULL && a->ids[TOP_ASK_LIST] == 0) {
		a->view = a->m->view;
		ask(a, TOP_ASK_LIST, l->method, l->params ? l->params() : NULL);
	}
	if (a->m->view == TOP_VIEW_WORKERS)
		ask(a, TOP_ASK_COUNTERS, "stats.get",
		    json_pack(
			"{s:s, s:[s,s]}", "by", "worker", "select", "totals", "latency"));
	else if (a->m->view == TOP_VIEW_HISTOGRAM)
		ask(a, TOP_ASK_HEAT, "stats.heatmap",
		    json_pack("{s:i}", "since_s", HEAT_S));
}

bool
top_asks_are_answered(const struct top_asks *a)
{
	for (unsigned i = 0; i <= TOP_ASK_HISTORY; i++)
		if (a->ids[i] != 0)
			return false;
	return true;
}

void
top_asks_begin(struct top_asks *a)
{
	struct top_model *m = a->m;

	memset(a->ids, 0, sizeof(a->ids));
	m->note[0] = '\0';
	m->seq = 0;
	m->n_events = 0;
	snprintf(m->path, sizeof(m->path), "%s", a->link->path);
	top_model_hello(m, a->link->hello);
	ask(a, TOP_ASK_HISTORY, "events.history",
	    json_pack("{s:i}", "limit", EVENTS_FIRST));
	ask(a, TOP_ASK_SUBSCRIBE, "events.subscribe", NULL);
	top_asks_look(a);
}

void
top_asks_trace(struct top_asks *a)
{
	const struct top_row *w = top_model_selected(a->m);

	if (w == NULL)
		return;
	a->m->selected = w->slot;
	a->m->selected_pid = w->pid;
	ask(a, TOP_ASK_TRACE, "workers.trace", json_pack("{s:i}", "slot", (int)w->slot));
}

void
top_asks_reload(struct top_asks *a)
{
	ask(a, TOP_ASK_RELOAD, "reload.start", NULL);
}

void
top_asks_recycle(struct top_asks *a, unsigned slot)
{
	ask(a, TOP_ASK_RECYCLE, "workers.recycle",
	    json_pack("{s:[i]}", "slots", (int)slot));
}

static void
on_error(struct top_asks *a, enum top_ask what, const json_t *error)
{
	static const char *const names[TOP_ASKS] = {[TOP_ASK_TRACE] = "trace",
	    [TOP_ASK_RELOAD] = "reload",
	    [TOP_ASK_RECYCLE] = "recycle"};
	struct top_model *m = a->m;
	const char *message = value_string(error, "message", "refused");
	const char *kind = value_string(error, "data.kind", "");

	if (strcmp(kind, "permission_denied") == 0 && what < TOP_ASK_HISTORY)
		message = "shown to the role operator and above";
	if (what == TOP_ASK_REQUESTS) {
		m->n_requests = 0;
		snprintf(m->requests_note, sizeof(m->requests_note), "%s", message);
	} else if (what == TOP_ASK_LIST) {
		top_model_refuse(m, a->view, message);
	} else if (what == TOP_ASK_HEAT) {
		top_model_refuse(m, TOP_VIEW_HISTOGRAM, message);
	} else if (names[what] != NULL) {
		snprintf(m->note, sizeof(m->note), "%s: %s", names[what], message);
	}
}

static void
on_history(struct top_model *m, const json_t *r)
{
	size_t i;
	json_t *ev;

	json_array_foreach((json_t *)value_at(r, "events"), i, ev)
	{
		top_model_event(m, ev);
	}
}

static void
on_trace(struct top_model *m, const json_t *r)
{
	char title[128];

	snprintf(title, sizeof(title), " STACKS of worker %u (Esc closes)", m->selected);
	top_model_show(m, title, trace_text(r));
}

static void
on_result(struct top_asks *a, enum top_ask what, json_t *r)
{
	const double now = (double)link_now() / 1000;
	struct top_model *m = a->m;

	if (what == TOP_ASK_STATUS)
		top_model_status(m, r);
	else if (what == TOP_ASK_LIST)
		top_model_list(m, a->view, r, now);
	else if (what == TOP_ASK_COUNTERS)
		top_model_counters(m, r, now);
	else if (what == TOP_ASK_STATS)
		top_model_stats(m, r);
	else if (what == TOP_ASK_REQUESTS)
		top_model_requests(m, r);
	else if (what == TOP_ASK_HEAT)
		top_model_heat(m, r);
	else if (what == TOP_ASK_HISTORY)
		on_history(m, r);
	else if (what == TOP_ASK_TRACE)
		on_trace(m, r);
	else if (what == TOP_ASK_RELOAD || what == TOP_ASK_RECYCLE)
		snprintf(m->note, sizeof(m->note), "%s %s started",
		    what == TOP_ASK_RELOAD ? "reload" : "recycle",
		    value_string(r, "job", ""));
}

/* A reload that failed says why where it is seen. */
static void
show_failure(struct top_model *m, const json_t *params)
{
	const char *type = value_string(params, "type", "");
	const json_t *data = value_at(params, "data");
	const char *trace = value_string(
	    data, "traceback", value_string(data, "exception.traceback", NULL));
	char *text = NULL;

	if (strcmp(type, "reload.failed") != 0 && strcmp(type, "reload.rolled_back") != 0)
		return;
	if (asprintf(&text, "%s\n%s",
		value_string(data, "why", value_string(data, "exception.message", "")),
		trace ? trace : "") < 0)
		text = NULL;
	top_model_show(m, " RELOAD FAILED (Esc closes)", text);
}

static void
on_event(struct top_model *m, const json_t *params)
{
	top_model_event(m, params);
	if (strncmp(m->note, "reload", 6) == 0 || strncmp(m->note, "recycle", 7) == 0)
		m->note[0] = '\0';
	show_failure(m, params);
}

void
top_asks_take(struct top_asks *a, const struct link_msg *m)
{
	const json_int_t id = link_msg_id(m);

	if (id == 0 && link_msg_params(m) != NULL) {
		on_event(a->m, link_msg_params(m));
		return;
	}
	for (unsigned i = 0; i < TOP_ASKS; i++) {
		if (id == 0 || a->ids[i] != id)
			continue;
		a->ids[i] = 0;
		/* Held: what was asked for by a key is shown all the same. */
		if (link_msg_error(m) != NULL)
			on_error(a, (enum top_ask)i, link_msg_error(m));
		else if (!a->m->paused || i >= TOP_ASK_HISTORY)
			on_result(a, (enum top_ask)i, link_msg_result(m));
	}
}
