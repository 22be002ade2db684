/* What `shoalctl top` knows. SPDX-License-Identifier: MIT */
#include "master/cli/top_model.h"

#include "master/cli/event_text.h"
#include "master/cli/value.h"

#include <stdio.h>

void
top_model_finish(struct top_model *m)
{
	free(m->text);
	m->text = NULL;
	for (unsigned v = 0; v < TOP_VIEWS; v++)
		json_decref(m->lists[v]);
}

void
top_model_list(struct top_model *m, enum top_view v, json_t *r, const char *why)
{
	json_decref(m->lists[v]);
	m->lists[v] = json_incref(r);
	snprintf(m->list_notes[v], sizeof(m->list_notes[v]), "%s", why);
}

const json_t *
top_model_rows(const struct top_model *m)
{
	return value_at(
	    m->lists[m->view], m->view == TOP_VIEW_ACCOUNTS ? "accounts" : "routes");
}

void
top_model_look_at(struct top_model *m, enum top_view v)
{
	m->view = v;
	m->first_row = 0;
}

void
top_model_hello(struct top_model *m, const json_t *r)
{
	snprintf(
	    m->instance, sizeof(m->instance), "%s", value_string(r, "instance", "shoal"));
}

void
top_model_status(struct top_model *m, const json_t *r)
{
	snprintf(m->state, sizeof(m->state), "%s", value_string(r, "state", "?"));
	m->generation = value_number(r, "generation", 0);
	m->uptime_s = value_number(r, "uptime_s", 0);
	m->target = value_number(r, "workers.target", 0);
	m->ready = value_number(r, "workers.ready", 0);
	m->booting = value_number(r, "workers.booting", 0);
	m->draining = value_number(r, "workers.draining", 0);
}

/* The same process at the last look; NULL: it is new. */
static const struct top_worker *
find_process(const struct top_worker *v, size_t n, const struct top_worker *w)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].slot == w->slot && v[i].pid == w->pid)
			return &v[i];
	return NULL;
}

static void
read_worker(struct top_worker *w, const json_t *r, double now)
{
	*w = (struct top_worker){
	    .slot = (unsigned)value_number(r, "slot", 0),
	    .generation = (unsigned)value_number(r, "generation", 0),
	    .pid = (int)value_number(r, "pid", 0),
	    .age_s = value_number(r, "age_s", 0),
	    .in_flight = value_number(r, "in_flight", 0),
	    .connections = value_number(r, "connections", 0),
	    .rss_bytes = value_number(r, "rss_bytes", 0),
	    .restarts = value_number(r, "restarts", 0),
	    .requests = value_number(r, "requests", 0),
	    .cpu_s = value_number(r, "cpu_s", 0),
	    .seen = now,
	    .rate = -1,
	    .cpu = -1,
	};
	snprintf(w->state, sizeof(w->state), "%s", value_string(r, "state", "?"));
}

void
top_model_workers(struct top_model *m, const json_t *r, double now)
{
	size_t n_old = m->n_workers, i;
	struct top_worker *old = calloc(n_old + 1, sizeof(*old));
	json_t *one;

	if (old == NULL)
		return;
	memcpy(old, m->workers, n_old * sizeof(*old));
	m->n_workers = 0;
	json_array_foreach(value_at(r, "workers"), i, one)
	{
		struct top_worker *w = &m->workers[m->n_workers];
		const struct top_worker *was;

		if (m->n_workers == TOP_WORKERS_MAX)
			break;
		read_worker(w, one, now);
		was = find_process(old, n_old, w);
		if (was != NULL && now > was->seen) {
			double dt = now - was->seen;

			w->rate = MAX(0, w->requests - was->requests) / dt;
			w->cpu = MAX(0, w->cpu_s - was->cpu_s) / dt;
		}
		m->n_workers++;
	}
	free(old);
}

void
top_model_requests(struct top_model *m, const json_t *r)
{
	size_t i;
	json_t *one;

	m->n_requests = 0;
	m->requests_note[0] = '\0';
	json_array_foreach(value_at(r, "requests"), i, one)
	{
		struct top_request *q = &m->requests[m->n_requests];

		if (m->n_requests == TOP_REQUESTS_MAX)
			break;
		m->n_requests++;
		q->worker = value_number(one, "worker", value_number(one, "slot", 0));
		q->age_s = value_number(one, "age_s", 0);
		snprintf(q->phase, sizeof(q->phase), "%s", value_string(one, "phase", ""));
		snprintf(
		    q->method, sizeof(q->method), "%s", value_string(one, "method", ""));
		snprintf(q->path, sizeof(q->path), "%s", value_string(one, "path", ""));
		snprintf(
		    q->client, sizeof(q->client), "%s", value_string(one, "client", ""));
	}
}

void
top_model_stats(struct top_model *m, const json_t *r)
{
	m->then = m->now;
	sample_read(&m->now, r);
}

void
top_model_event(struct top_model *m, const json_t *params)
{
	int64_t seq = (int64_t)value_number(params, "seq", 0);
	struct top_event *e;

	if (seq != 0 && seq <= m->seq)
		return;
	m->seq = MAX(m->seq, seq);
	if (m->n_events == TOP_EVENTS_MAX)
		memmove(m->events, m->events + 1, --m->n_events * sizeof(*m->events));
	e = &m->events[m->n_events++];
	e->t = value_number(params, "t", 0);
	snprintf(e->type, sizeof(e->type), "%s", value_string(params, "type", "?"));
	event_details(value_at(params, "data"), e->text, sizeof(e->text));
}

void
top_model_show(struct top_model *m, const char *title, char *text)
{
	if (text == NULL)
		return;
	free(m->text);
	m->text = text;
	m->pane = TOP_PANE_TEXT;
	m->scroll = 0;
	snprintf(m->title, sizeof(m->title), "%s", title);
}

void
top_model_close_pane(struct top_model *m)
{
	m->pane = TOP_PANE_NONE;
	m->scroll = 0;
}

size_t
top_model_index(const struct top_model *m)
{
	size_t found = 0;

	for (size_t i = m->n_workers; i-- > 0;) {
		if (m->workers[i].slot != m->selected)
			continue;
		found = i;
		if (m->workers[i].pid == m->selected_pid)
			break;
	}
	return found;
}

static unsigned
count_lines(const char *s)
{
	unsigned n = 1;

	for (; s != NULL && *s != '\0'; s++)
		n += *s == '\n';
	return n;
}

void
top_model_move(struct top_model *m, int by)
{
	size_t at = top_model_index(m);

	if (m->pane == TOP_PANE_TEXT) {
		int64_t to = (int64_t)m->scroll + by;

		m->scroll = (unsigned)MAX(0, MIN(to, (int64_t)count_lines(m->text) - 1));
	} else if (m->view != TOP_VIEW_WORKERS) {
		int64_t to = (int64_t)m->first_row + by;
		int64_t last = (int64_t)json_array_size(top_model_rows(m)) - 1;

		m->first_row = (unsigned)MAX(0, MIN(to, last));
	} else if (m->n_workers > 0) {
		int64_t to = (int64_t)at + by;

		at = (size_t)MAX(0, MIN(to, (int64_t)m->n_workers - 1));
		m->selected = m->workers[at].slot;
		m->selected_pid = m->workers[at].pid;
	}
}

const struct top_worker *
top_model_selected(const struct top_model *m)
{
	return m->n_workers > 0 ? &m->workers[top_model_index(m)] : NULL;
}
