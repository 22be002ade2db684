/* Draws `shoalctl top`. SPDX-License-Identifier: MIT */
#include "master/cli/top_screen.h"

#include "master/cli/out.h"
#include "master/cli/text.h"

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
};

static void
sgr(struct screen *s, enum out_colour c)
{
	/* Reverse and bold are no colours: they stay without. */
	bool on = s->colour || c == OUT_REVERSE || c == OUT_BOLD || c == OUT_PLAIN;

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
	if (s->reverse) {
		fprintf(s->f, "%*s", (int)(s->width - s->used), "");
		sgr(s, OUT_PLAIN);
	} else if (s->used < s->width) {
		/* Not behind the last column: there it would erase that one. */
		fputs("\033[K", s->f);
	}
	s->reverse = false;
	s->used = 0;
	if (++s->row < s->height)
		fputs("\r\n", s->f);
}

static void
fill_to(struct screen *s, unsigned row)
{
	while (s->row < row && s->row < s->height)
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

static void
draw_worker(struct screen *s, const struct top_worker *w, bool selected)
{
	char rate[32] = "-", cpu[32] = "-", rss[32], age[32];

	if (w->rate >= 0)
		snprintf(rate, sizeof(rate), "%.1f", w->rate);
	if (w->cpu >= 0)
		snprintf(cpu, sizeof(cpu), "%.0f", w->cpu * 100);
	if (selected)
		begin_reverse(s);
	put(s, OUT_PLAIN, "%5u %7d %4u ", w->slot, w->pid, w->generation);
	put(s, out_state_colour(w->state), "%-8.8s", w->state);
	put(s, OUT_PLAIN, " %8s %5.0f %6.0f %7s %5s %7s %8.0f", rate, w->in_flight,
	    w->connections, value_bytes(w->rss_bytes, rss, sizeof(rss)), cpu,
	    value_seconds(w->age_s, age, sizeof(age)), w->restarts);
	end_row(s);
}

static void
draw_workers(struct screen *s, const struct top_model *m, unsigned rows)
{
	size_t at = top_model_index(m), first;

	title_row(s,
	    " SLOT     PID  GEN STATE       REQ/s  INFL  CONNS     RSS  CPU%     AGE"
	    " RESTARTS");
	/* The selected one is always among those shown. */
	first = at >= rows ? at - rows + 1 : 0;
	for (size_t i = first; i < m->n_workers && i - first < rows; i++)
		draw_worker(s, &m->workers[i], i == at);
	if (m->n_workers == 0) {
		put(s, OUT_DIM, "  no workers");
		end_row(s);
	}
}

static void
draw_account(struct screen *s, const json_t *r)
{
	char out[32], lost[32];

	put(s, OUT_PLAIN, " %-32.32s %10.0f %8.0f %8.0f %9s %11s",
	    value_string(r, "account", ""), value_number(r, "requests", 0),
	    value_number(r, "err5xx", 0), value_number(r, "aborted", 0),
	    value_bytes(value_number(r, "out_head", 0) + value_number(r, "out_body", 0) +
			    value_number(r, "out_framing", 0),
		out, sizeof(out)),
	    value_bytes(value_number(r, "out_undelivered", 0), lost, sizeof(lost)));
}

static void
draw_route(struct screen *s, const json_t *r)
{
	char p50[32], p99[32];

	put(s, OUT_PLAIN, " %-40.40s %10.0f %8.0f %8s %8s", value_string(r, "route", ""),
	    value_number(r, "requests", 0), value_number(r, "errors", 0),
	    value_micros(value_number(r, "p50_us", 0), p50, sizeof(p50)),
	    value_micros(value_number(r, "p99_us", 0), p99, sizeof(p99)));
}

static void
draw_list(struct screen *s, const struct top_model *m, unsigned rows)
{
	const json_t *list = top_model_rows(m);
	const char *note = m->list_notes[m->view];
	bool accounts = m->view == TOP_VIEW_ACCOUNTS;

	title_row(s, accounts
			 ? " ACCOUNT                            REQUESTS      5XX  ABORTED"
			   "      SENT UNDELIVERED"
			 : " ROUTE                                      REQUESTS      5XX"
			   "      P50      P99");
	for (size_t i = 0; i < rows && m->first_row + i < json_array_size(list); i++) {
		const json_t *r = json_array_get(list, m->first_row + i);

		if (accounts)
			draw_account(s, r);
		else
			draw_route(s, r);
		end_row(s);
	}
	if (json_array_size(list) == 0 && rows > 0) {
		put(s, OUT_DIM, "  %s", *note ? note : "none");
		end_row(s);
	}
}

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
	size_t first = m->n_events > rows ? m->n_events - rows : 0;
	char t[32];

	title_row(s, " EVENTS");
	for (size_t i = first; i < m->n_events; i++) {
		const struct top_event *e = &m->events[i];

		put(s, OUT_DIM, " %s ", value_time(e->t, false, t, sizeof(t)));
		put(s, OUT_CYAN, "%-18s ", e->type);
		put(s, OUT_PLAIN, "%s", e->text);
		end_row(s);
	}
}

static const char help_text[] = "1 2 3         workers, accounts, routes\n"
				"j k, arrows   choose a worker, move in a list\n"
				"t             its Python stacks; j k move in them\n"
				"r             reload the application (asks)\n"
				"p             hold the screen as it is, or let it go on\n"
				"Esc           close what was opened\n"
				"q             quit\n"
				"\n"
				"CPU% is of one processor; RSS counts shared pages, too.";

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
	static const char *const keys[][2] = {{"q", "quit"}, {"1 2 3", "views"},
	    {"j k", "choose"}, {"t", "trace"}, {"r", "reload"}, {"p", "hold"},
	    {"?", "help"}};

	if (*m->question != '\0') {
		put(s, OUT_YELLOW, " %s [y/n]", m->question);
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

/* How many of `rest` rows the workers get, and of what is left the requests. */
static void
share_rows(const struct top_model *m, unsigned rest, unsigned *workers, unsigned *requests)
{
	size_t lines =
	    m->view == TOP_VIEW_WORKERS ? m->n_workers : json_array_size(top_model_rows(m));
	unsigned n = (unsigned)MAX(lines, (size_t)1), r;
	unsigned most = rest > LOWER_LEAST + 1 ? rest - LOWER_LEAST : MIN(rest, 1u);

	*workers = MIN(n, most);
	r = (unsigned)MAX(m->n_requests, (size_t)1);
	*requests = MIN(r, (rest - *workers + 1) / 2);
}

char *
top_screen_draw(const struct top_model *m, unsigned width, unsigned height, size_t *n)
{
	struct screen s = {.width = width, .height = height, .colour = m->colour};
	unsigned rest = height > ROWS_FIXED ? height - ROWS_FIXED : 0, workers, requests;
	char *bytes = NULL;

	s.f = open_memstream(&bytes, n);
	if (s.f == NULL)
		return NULL;
	share_rows(m, rest, &workers, &requests);
	fputs("\033[H", s.f);
	s.height = height > 0 ? height - 1 : 0; /* the last row is kept for the keys */
	draw_head(&s, m);
	draw_rates(&s, m);
	if (m->view == TOP_VIEW_WORKERS)
		draw_workers(&s, m, workers);
	else
		draw_list(&s, m, workers);
	fill_to(&s, 3 + workers);
	if (m->pane != TOP_PANE_NONE) {
		draw_pane(&s, m, s.height);
	} else {
		draw_requests(&s, m, requests);
		fill_to(&s, 4 + workers + requests);
		draw_events(&s, m, rest - workers - requests);
	}
	fill_to(&s, s.height);
	if (s.height > 0)
		fputs("\r\n", s.f);
	s.height = height;
	draw_last(&s, m);
	fclose(s.f);
	return bytes;
}
