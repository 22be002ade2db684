/* Draws `shoalctl top`. SPDX-License-Identifier: MIT */
#include "master/cli/top_screen.h"

#include "master/cli/out.h"
#include "master/cli/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define PIECE_MAX 1024
#define LOWER_LEAST 8 /* rows for requests and events when there are many workers */
#define ROWS_FIXED 6  /* two of the head, three titles, the last line */

struct screen {
	FILE *f;
	unsigned width, height;
	unsigned row;  /* rows that are finished */
	unsigned used; /* columns of the present one */
	bool colour, reverse;
	bool plain; /* lines of text: no cursor is moved */
};

static void
sgr(struct screen *s, enum out_colour c)
{
	/* Reverse and bold are no colours: they stay without. */
	bool on =
	    !s->plain && (s->colour || c == OUT_REVERSE || c == OUT_BOLD || c == OUT_PLAIN);

	fputs(out_sgr(on, c), s->f);
}

static void PRINTF_LIKE(3, 4) put(struct screen *s, enum out_colour c, const char *fmt, ...)
{
	char raw[PIECE_MAX], clean[PIECE_MAX * 2];
	va_list ap;

	if (s->row >= s->height || s->used >= s->width)
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	s->used += text_clean(raw, clean, sizeof(clean), s->width - s->used);
	if (c != OUT_PLAIN && !s->reverse)
		sgr(s, c);
	fputs(clean, s->f);
	if (c != OUT_PLAIN && !s->reverse)
		sgr(s, OUT_PLAIN);
}

static void
begin_reverse(struct screen *s)
{
	if (s->row >= s->height)
		return;
	s->reverse = true;
	sgr(s, OUT_REVERSE);
}

static void
end_row(struct screen *s)
{
	if (s->row >= s->height)
		return;
	if (s->plain) {
		fputc('\n', s->f);
	} else if (s->reverse) {
		fprintf(s->f, "%*s", (int)(s->width - s->used), "");
		sgr(s, OUT_PLAIN);
	} else if (s->used < s->width) {
		/* Not behind the last column: there it would erase that one. */
		fputs("\033[K", s->f);
	}
	s->reverse = false;
	s->used = 0;
	if (++s->row < s->height && !s->plain)
		fputs("\r\n", s->f);
}

static void
fill_to(struct screen *s, unsigned row)
{
	while (!s->plain && s->row < row && s->row < s->height)
		end_row(s);
}

static void
title_row(struct screen *s, const char *text)
{
	begin_reverse(s);
	put(s, OUT_PLAIN, "%s", text);
	end_row(s);
}

static void
draw_head(struct screen *s, const struct top_model *m)
{
	char up[32], now[32];

	put(s, OUT_BOLD, " %s", m->instance);
	put(s, OUT_PLAIN, "  generation %.0f  ", m->generation);
	put(s, out_state_colour(m->state), "%s", m->state);
	put(s, OUT_PLAIN, "  up %s  workers ", value_seconds(m->uptime_s, up, sizeof(up)));
	put(s, m->ready < m->target ? OUT_YELLOW : OUT_GREEN, "%.0f/%.0f", m->ready,
	    m->target);
	if (m->booting > 0)
		put(s, OUT_CYAN, "  %.0f booting", m->booting);
	if (m->draining > 0)
		put(s, OUT_YELLOW, "  %.0f draining", m->draining);
	if (m->now.t > 0)
		put(s, OUT_DIM, "  %s", value_time(m->now.t, false, now, sizeof(now)));
	if (m->paused)
		put(s, OUT_YELLOW, "  held");
	end_row(s);
}

static void
put_latency(struct screen *s, const char *name, double us)
{
	char text[32];

	if (us >= 0)
		put(s, OUT_PLAIN, "  %s %s", name, value_micros(us, text, sizeof(text)));
}

static void
draw_rates(struct screen *s, const struct top_model *m)
{
	const struct sample *a = &m->then, *b = &m->now;
	double errors = sample_rate(a, b, a->classes[5], b->classes[5]);
	double in = sample_rate(a, b, a->bytes_in, b->bytes_in);
	double out = sample_rate(a, b, a->bytes_out, b->bytes_out);
	char in_text[32], out_text[32];

	put(s, OUT_BOLD, " %.1f req/s", sample_rate(a, b, a->requests, b->requests));
	put(s, errors > 0 ? OUT_RED : OUT_PLAIN, "  5xx %.1f/s", errors);
	put(s, OUT_PLAIN, "  in flight %.0f  conns %.0f", b->in_flight, b->connections);
	put_latency(s, "p50", b->p50);
	put_latency(s, "p99", b->p99);
	put(s, OUT_PLAIN, "  in %s/s  out %s/s", value_bytes(in, in_text, sizeof(in_text)),
	    value_bytes(out, out_text, sizeof(out_text)));
	end_row(s);
}

/* ---- The upper table ---- */

static void
draw_titles(struct screen *s, const struct top_list *l, uint64_t fit, int sorted)
{
	begin_reverse(s);
	for (size_t i = 0; i < l->n_columns; i++) {
		const struct top_column *c = &l->columns[i];
		const bool left = c->format == TOP_NAME || c->format == TOP_STATE;
		char title[32];

		if ((fit & UINT64_C(1) << i) == 0)
			continue;
		snprintf(
		    title, sizeof(title), "%s%s", (int)i == sorted ? "*" : "", c->title);
		put(s, OUT_PLAIN, left ? " %-*s" : " %*s", (int)c->width, title);
	}
	end_row(s);
}

static void
draw_row(struct screen *s, const struct top_list *l, uint64_t fit, const struct top_row *r)
{
	for (size_t i = 0; i < l->n_columns; i++) {
		const struct top_column *c = &l->columns[i];
		const int width = (int)c->width;
		char text[sizeof(r->name)];

		if ((fit & UINT64_C(1) << i) == 0)
			continue;
		top_row_text(r, c, i, text, sizeof(text));
		if (c->format == TOP_STATE) {
			put(s, OUT_PLAIN, " ");
			put(s, out_state_colour(text), "%-*.*s", width, width, text);
		} else if (c->format == TOP_NAME) {
			put(s, OUT_PLAIN, " %-*.*s", width, width, text);
		} else {
			put(s, OUT_PLAIN, " %*s", width, text);
		}
	}
	end_row(s);
}

static void
draw_nothing(struct screen *s, const struct top_model *m, const char *empty)
{
	const char *note = m->notes[m->view];

	put(s, OUT_DIM, "  %s", *note ? note : *m->filter ? "none like that" : empty);
	end_row(s);
}

static void
draw_table(struct screen *s, const struct top_model *m, unsigned rows)
{
	const struct top_list *l = top_list_of(m->view);
	const struct top_table *t = &m->tables[m->view];
	const bool workers = m->view == TOP_VIEW_WORKERS;
	const size_t at = top_model_index(m);
	/* The selected one is always among those shown. */
	const size_t first = !workers ? m->first_row : at >= rows ? at - rows + 1 : 0;
	const uint64_t fit = top_columns_fitting(l, s->width);

	draw_titles(s, l, fit, m->sort[m->view]);
	for (size_t i = first; i < t->shown && i - first < rows; i++) {
		if (workers && i == at)
			begin_reverse(s);
		draw_row(s, l, fit, &t->rows[i]);
	}
	if (t->shown == 0 && rows > 0)
		draw_nothing(s, m, l->empty);
}

/* ---- How long requests took ---- */

#define BAR_LEAST 10
#define BAR_LEFT 22 /* columns before it */

/* 2^(row/2) s, in microseconds; without libm. */
static double
upper_of(int row)
{
	const int odd = row & 1;

	return ldexp(odd ? 1e6 * 1.4142135623730951 : 1e6, (row - odd) / 2);
}

static void
draw_bar(struct screen *s, const struct top_heat *h, unsigned i, double most)
{
	const unsigned room = s->width > BAR_LEFT + BAR_LEAST ? s->width - BAR_LEFT : 0;
	const double part = most > 0 ? h->counts[i] / most : 0;
	unsigned n = (unsigned)(part * room + 0.5);
	char upper[32], bar[PIECE_MAX / 4];

	/* One request among a million is seen. */
	n = MIN(h->counts[i] > 0 ? MAX(n, 1u) : 0, (unsigned)sizeof(bar) - 1);
	memset(bar, '#', n);
	bar[n] = '\0';
	put(s, OUT_PLAIN, " %8s %10.0f ",
	    value_micros(upper_of(h->first + (int)i), upper, sizeof(upper)), h->counts[i]);
	put(s, OUT_CYAN, " %s", bar);
	end_row(s);
}

static void
draw_histogram(struct screen *s, const struct top_model *m, unsigned rows)
{
	const struct top_heat *h = &m->heat;
	char p50[32], p99[32], p999[32], title[160];
	double most = 0;

	title_row(s, "    UP TO   REQUESTS  of the last minute");
	for (unsigned i = 0; i < h->n; i++)
		most = MAX(most, h->counts[i]);
	if (h->n == 0) {
		draw_nothing(s, m, "no request ended in it");
		return;
	}
	for (unsigned i = 0; i < h->n && i + 2 < rows; i++)
		draw_bar(s, h, i, most);
	snprintf(title, sizeof(title), "last 10 s with requests: p50 %s  p99 %s  p99.9 %s",
	    value_micros(h->p50_us, p50, sizeof(p50)),
	    value_micros(h->p99_us, p99, sizeof(p99)),
	    value_micros(h->p999_us, p999, sizeof(p999)));
	end_row(s);
	put(s, OUT_BOLD, " %s", title);
	end_row(s);
}

/* ---- Requests, events, panes ---- */

static void
draw_requests(struct screen *s, const struct top_model *m, unsigned rows)
{
	char title[64], age[32];

	snprintf(title, sizeof(title), " IN FLIGHT, the oldest of %.0f", m->now.in_flight);
	title_row(s, m->n_requests ? title : " IN FLIGHT");
	for (size_t i = 0; i < m->n_requests && i < rows; i++) {
		const struct top_request *q = &m->requests[i];

		put(s, q->age_s >= 1 ? OUT_YELLOW : OUT_PLAIN, "%8s",
		    value_seconds(q->age_s, age, sizeof(age)));
		put(s, OUT_PLAIN, "  worker %-4.0f %-8.8s %-15.39s %s %s", q->worker,
		    q->phase, q->client, q->method, q->path);
		end_row(s);
	}
	if (m->n_requests == 0 && rows > 0) {
		put(s, OUT_DIM, "  %s", *m->requests_note ? m->requests_note : "none");
		end_row(s);
	}
}

static void
draw_events(struct screen *s, const struct top_model *m, unsigned rows)
{
	const struct top_event *events[TOP_EVENTS_MAX];
	const size_t n = top_model_events(m, MIN(rows, (unsigned)TOP_EVENTS_MAX), events);
	char t[32];

	title_row(s, " EVENTS");
	for (size_t i = 0; i < n; i++) {
		put(s, OUT_DIM, " %s ", value_time(events[i]->t, false, t, sizeof(t)));
		put(s, OUT_CYAN, "%-18s ", events[i]->type);
		put(s, OUT_PLAIN, "%s", events[i]->text);
		end_row(s);
	}
}

static const char help_text[] =
    "1 2 3 4       workers, accounts, routes, clients\n"
    "5 6           events, how long requests took\n"
    "s             sort by the next column, the largest first\n"
    "/             show only what contains the words that follow; Esc: all\n"
    "j k, arrows   choose a worker, move in a list\n"
    "t             its Python stacks; j k move in them\n"
    "r             replace the chosen worker (asks)\n"
    "R             reload the application (asks)\n"
    "p             hold the screen as it is, or let it go on\n"
    "Esc           close what was opened\n"
    "q             quit\n"
    "\n"
    "CPU% and GIL% (time spent waiting for the GIL) are of one processor. MEM is the\n"
    "proportional set size where it is known, else RSS, which counts shared pages, too.\n"
    "P50 and P99 of a worker are of its life, ERR% (5xx) of the last look.";

static void
draw_pane(struct screen *s, const struct top_model *m, unsigned until)
{
	const char *p = m->pane == TOP_PANE_HELP ? help_text : m->text;

	title_row(s, m->pane == TOP_PANE_HELP ? " HELP" : m->title);
	for (unsigned i = 0; i < m->scroll && m->pane == TOP_PANE_TEXT; i++) {
		const char *end = strchr(p, '\n');

		p = end ? end + 1 : p + strlen(p);
	}
	while (p != NULL && *p != '\0' && s->row < until) {
		size_t len = strcspn(p, "\n");

		put(s, OUT_PLAIN, " %.*s", (int)MIN(len, (size_t)PIECE_MAX), p);
		end_row(s);
		p += len + (p[len] == '\n');
	}
	fill_to(s, until);
}

static void
draw_last(struct screen *s, const struct top_model *m)
{
	static const char *const keys[][2] = {{"q", "quit"}, {"1-6", "views"},
	    {"s", "sort"}, {"/", "filter"}, {"t", "trace"}, {"r", "recycle"},
	    {"R", "reload"}, {"p", "hold"}, {"?", "help"}};

	if (*m->question != '\0') {
		put(s, OUT_YELLOW, " %s [y/n]", m->question);
	} else if (m->typing || *m->filter != '\0') {
		put(s, OUT_YELLOW, " /%s%s", m->filter, m->typing ? "_" : "");
		put(s, OUT_DIM, m->typing ? "" : "  Esc shows all");
	} else if (*m->note != '\0') {
		put(s, OUT_YELLOW, " %s", m->note);
	} else {
		for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
			put(s, OUT_BOLD, " %s", keys[i][0]);
			put(s, OUT_DIM, " %s ", keys[i][1]);
		}
	}
	end_row(s);
}

/* How many of `rest` rows the table gets, and of what is left the requests. */
static void
share_rows(const struct top_model *m, unsigned rest, unsigned *table, unsigned *requests)
{
	const size_t lines = m->tables[m->view].shown;
	unsigned n = (unsigned)MAX(lines, (size_t)1), r;
	unsigned most = rest > LOWER_LEAST + 1 ? rest - LOWER_LEAST : MIN(rest, 1u);

	*table = MIN(n, most);
	r = (unsigned)MAX(m->n_requests, (size_t)1);
	*requests = MIN(r, (rest - *table + 1) / 2);
}

/* A table, and what goes on beneath it. */
static void
draw_parts(struct screen *s, const struct top_model *m, unsigned rest)
{
	unsigned table, requests;

	share_rows(m, rest, &table, &requests);
	draw_table(s, m, table);
	fill_to(s, 3 + table);
	if (m->pane != TOP_PANE_NONE)
		return;
	draw_requests(s, m, requests);
	fill_to(s, 4 + table + requests);
	draw_events(s, m, rest - table - requests);
}

char *
top_screen_draw(const struct top_model *m, unsigned width, unsigned height, size_t *n)
{
	struct screen s = {.width = width, .colour = m->colour, .plain = m->plain};
	const unsigned rest = height > ROWS_FIXED ? height - ROWS_FIXED : 0;
	char *bytes = NULL;

	s.f = open_memstream(&bytes, n);
	if (s.f == NULL)
		return NULL;
	if (!s.plain)
		fputs("\033[H", s.f);
	s.height = height > 0 ? height - 1 : 0; /* the last row is kept for the keys */
	draw_head(&s, m);
	draw_rates(&s, m);
	if (top_list_of(m->view) != NULL)
		draw_parts(&s, m, rest);
	else if (m->pane == TOP_PANE_NONE && m->view == TOP_VIEW_EVENTS)
		draw_events(&s, m, rest + 2);
	else if (m->pane == TOP_PANE_NONE)
		draw_histogram(&s, m, rest + 2);
	if (m->pane != TOP_PANE_NONE)
		draw_pane(&s, m, s.height);
	fill_to(&s, s.height);
	if (s.height > 0 && !s.plain)
		fputs("\r\n", s.f);
	s.height = height;
	if (!s.plain)
		draw_last(&s, m);
	fclose(s.f);
	return bytes;
}
