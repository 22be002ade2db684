/* A scrape: asks the master for what metrics.def needs, then writes it down. One text a
 * second serves everybody. SPDX-License-Identifier: MIT */
#include "master/gateway/metrics.h"

#include "master/gateway/gateway.h"
#include "master/gateway/metrics_text.h"

#include <time.h>

#define OPEN_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The client's own, until its answer. */
struct scrape {
	json_t *docs[METRICS_DOCS]; /* owned */
	unsigned next;              /* to be asked for */
};

struct metrics {
	char *text[2]; /* owned; [1]: OpenMetrics */
	size_t n[2];
	time_t made; /* CLOCK_MONOTONIC seconds */
};

#define QUESTIONS METRICS_DOC_gateway /* the first that is no answer of the master */

static const char *const questions[QUESTIONS] = {
    [METRICS_DOC_status] = "server.status",
    [METRICS_DOC_stats] = "stats.get",
    [METRICS_DOC_workers] = "workers.list",
    [METRICS_DOC_listeners] = "listeners.list",
    [METRICS_DOC_accounts] = "metrics.accounts",
    [METRICS_DOC_own] = "metrics.get",
    [METRICS_DOC_routes] = "routes.list",
    [METRICS_DOC_durations] = "metrics.durations",
    [METRICS_DOC_http] = "metrics.http",
    [METRICS_DOC_slots] = "metrics.workers",
    [METRICS_DOC_server] = "metrics.server",
};

static time_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void
on_drop(void *work)
{
	struct scrape *s = work;

	for (size_t i = 0; i < METRICS_DOCS; i++)
		json_decref(s->docs[i]);
	free(s);
}

static void
give(struct http *h)
{
	static const char wanted[] = "application/openmetrics-text";
	struct metrics *m = h->gateway->metrics;
	struct str accept = http_field(h, "Accept");
	bool open = accept.n > 0 && memmem(accept.p, accept.n, wanted, sizeof(wanted) - 1);

	if (m->text[open] == NULL)
		http_fail(h, CTL_E_OVERLOADED, "out of memory");
	else
		http_answer(
		    h, 200, open ? OPEN_TYPE : TEXT_TYPE, NULL, m->text[open], m->n[open]);
}

static void ask_next(struct http *h);

static void
on_answer(void *ctx, json_t *result, json_t *error)
{
	struct http *h = ctx;
	struct scrape *s = h->work;

	h->call = 0;
	if (result == NULL && error == NULL) {
		http_fail(h, CTL_E_SHUTTING_DOWN, "the master has gone");
		return;
	}
	s->docs[s->next++] = json_incref(result);
	ask_next(h);
}

static void
ask_next(struct http *h)
{
	struct metrics *m = h->gateway->metrics;
	struct scrape *s = h->work;

	if (s->next < QUESTIONS) {
		h->asked = h->gateway->observer;
		h->call = rpc_call(h->asked, questions[s->next], NULL, on_answer, h);
		if (h->call == 0)
			http_fail(h, CTL_E_OVERLOADED, "too many requests at once");
		return;
	}
	s->docs[METRICS_DOC_gateway] =
	    json_pack("{s:I}", "clients", (json_int_t)h->gateway->n_clients);
	for (int open = 0; open < 2; open++) {
		free(m->text[open]);
		m->text[open] = metrics_text(s->docs, open, &m->n[open]);
	}
	m->made = now();
	give(h);
}

void
metrics_run(struct http *h)
{
	struct metrics *m = h->gateway->metrics;

	if (m->text[0] != NULL && m->made == now()) {
		give(h);
		return;
	}
	h->work = calloc(1, sizeof(struct scrape));
	h->drop_work = on_drop;
	if (h->work == NULL)
		http_fail(h, CTL_E_OVERLOADED, "out of memory");
	else
		ask_next(h);
}

struct metrics *
metrics_create(void)
{
	return calloc(1, sizeof(struct metrics));
}

void
metrics_destroy(struct metrics *m)
{
	if (m == NULL)
		return;
	free(m->text[0]);
	free(m->text[1]);
	free(m);
}
