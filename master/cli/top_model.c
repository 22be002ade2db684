/* What `shoalctl top` knows. SPDX-License-Identifier: MIT */
#include "master/cli/top_model.h"

#include "master/cli/event_text.h"
#include "master/cli/value.h"

#include <limits.h>
#include <stdio.h>

void
top_model_init(struct top_model *m)
{
	for (unsigned v = 0; v < TOP_VIEWS; v++)
		m->sort[v] = -1;
}

void
top_model_finish(struct top_model *m)
{
	free(m->text);
	m->text = NULL;
	for (unsigned v = 0; v < TOP_VIEWS; v++)
		top_table_finish(&m->tables[v]);
}

/* ---- Tables ---- */

static void
arrange(struct top_model *m, enum top_view v)
{
	if (top_list_of(v) != NULL)
		top_table_arrange(&m->tables[v], m->sort[v], m->filter);
}

void
top_model_list(struct top_model *m, enum top_view v, const json_t *r, double now)
{
	m->notes[v][0] = '\0';
	top_table_list(&m->tables[v], top_list_of(v), r, now);
	arrange(m, v);
}

void
top_model_counters(struct top_model *m, const json_t *r, double now)
{
	top_table_stats(
	    &m->tables[TOP_VIEW_WORKERS], top_list_of(TOP_VIEW_WORKERS), r, now);
	arrange(m, TOP_VIEW_WORKERS);
}

void
top_model_refuse(struct top_model *m, enum top_view v, const char *why)
{
	top_table_clear(&m->tables[v]);
	m->heat.n = 0;
	snprintf(m->notes[v], sizeof(m->notes[v]), "%s", why);
}

void
top_model_look_at(struct top_model *m, enum top_view v)
{
	m->view = v;
	m->first_row = 0;
	arrange(m, v);
}

void
top_model_sort(struct top_model *m)
{
	const struct top_list *l = top_list_of(m->view);
	int *column = &m->sort[m->view];

	if (l == NULL)
		return;
	/* Names are in the reply's order already. */
	do
		*column = *column + 1 < (int)l->n_columns ? *column + 1 : -1;
	while (*column >= 0 && (l->columns[*column].format == TOP_NAME ||
				   l->columns[*column].format == TOP_STATE));
	arrange(m, m->view);
}

void
top_model_filter(struct top_model *m, char c)
{
	const size_t n = strlen(m->filter);

	if (c == '\0' && n > 0)
		m->filter[n - 1] = '\0';
	else if (c != '\0' && n + 1 < sizeof(m->filter))
		m->filter[n] = c;
	m->first_row = 0;
	arrange(m, m->view);
}

void
top_model_drop_filter(struct top_model *m)
{
	memset(m->filter, 0, sizeof(m->filter));
	m->typing = false;
	arrange(m, m->view);
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
	top_table_requests(&m->tables[TOP_VIEW_WORKERS], top_list_of(TOP_VIEW_WORKERS), r);
	arrange(m, TOP_VIEW_WORKERS);
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

size_t
top_model_events(const struct top_model *m, size_t max, const struct top_event *events[])
{
	size_t n = 0, skip = m->view == TOP_VIEW_EVENTS ? m->first_row : 0;

	for (size_t i = m->n_events; i-- > 0 && n < max;) {
		const struct top_event *e = &m->events[i];

		if (m->view == TOP_VIEW_EVENTS && *m->filter != '\0' &&
		    strcasestr(e->type, m->filter) == NULL &&
		    strcasestr(e->text, m->filter) == NULL)
			continue;
		if (skip > 0)
			skip--;
		else
			events[n++] = e;
	}
	for (size_t i = 0; i < n / 2; i++) {
		const struct top_event *e = events[i];

		events[i] = events[n - 1 - i];
		events[n - 1 - i] = e;
	}
	return n;
}

/* ---- How long requests took ---- */

#define ROW_LEAST (-400) /* 2^-200 s, and 2^200 */

/* Numbers that are no rows become the first or the last one. */
static int
row_of(const json_t *column)
{
	const double offset = value_number(column, "offset", 0);

	return (int)MAX((double)ROW_LEAST, MIN(offset, (double)-ROW_LEAST));
}

static void
add_column(struct top_heat *h, const json_t *column)
{
	const json_t *counts = value_at(column, "counts");
	const int offset = row_of(column);

	for (size_t i = 0; i < MIN(json_array_size(counts), (size_t)TOP_HEAT_ROWS); i++) {
		const int row = offset + (int)i - h->first;

		if (row < 0 || row >= TOP_HEAT_ROWS)
			continue;
		h->counts[row] += json_number_value(json_array_get(counts, i));
		h->n = MAX(h->n, (unsigned)row + 1);
	}
	h->p50_us = value_number(column, "p50_us", -1);
	h->p99_us = value_number(column, "p99_us", -1);
	h->p999_us = value_number(column, "p999_us", -1);
}

void
top_model_heat(struct top_model *m, const json_t *r)
{
	struct top_heat h = {.p50_us = -1, .p99_us = -1, .p999_us = -1};
	const json_t *columns = value_at(r, "columns");
	json_t *one;
	size_t i;

	h.first = INT_MAX;
	json_array_foreach((json_t *)columns, i, one)
	{
		if (!json_is_null(one))
			h.first = MIN(h.first, row_of(one));
	}
	json_array_foreach((json_t *)columns, i, one)
	{
		if (!json_is_null(one))
			add_column(&h, one);
	}
	m->heat = h;
	m->notes[TOP_VIEW_HISTOGRAM][0] = '\0';
}

/* ---- The pane, the choice ---- */

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
	const struct top_table *t = &m->tables[TOP_VIEW_WORKERS];
	size_t found = 0;

	for (size_t i = t->shown; i-- > 0;) {
		if (t->rows[i].slot != m->selected)
			continue;
		found = i;
		if (t->rows[i].pid == m->selected_pid)
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

static size_t
moved(size_t from, int by, size_t n)
{
	return (size_t)MAX(0, MIN((int64_t)from + by, (int64_t)n - 1));
}

void
top_model_move(struct top_model *m, int by)
{
	const struct top_table *t = &m->tables[m->view];

	if (m->pane == TOP_PANE_TEXT) {
		m->scroll = (unsigned)moved(m->scroll, by, count_lines(m->text));
	} else if (m->view == TOP_VIEW_EVENTS) {
		m->first_row = (unsigned)moved(m->first_row, -by, MAX(m->n_events, 1u));
	} else if (m->view != TOP_VIEW_WORKERS) {
		m->first_row = (unsigned)moved(m->first_row, by, MAX(t->shown, 1u));
	} else if (t->shown > 0) {
		const size_t at = moved(top_model_index(m), by, t->shown);

		m->selected = t->rows[at].slot;
		m->selected_pid = t->rows[at].pid;
	}
}

const struct top_row *
top_model_selected(const struct top_model *m)
{
	const struct top_table *t = &m->tables[TOP_VIEW_WORKERS];

	return t->shown > 0 ? &t->rows[top_model_index(m)] : NULL;
}
