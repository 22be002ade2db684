/* Verbs about numbers: counters, rates while one looks, how series went.
 * SPDX-License-Identifier: MIT */
#include "master/cli/cli.h"
#include "master/cli/sample.h"
#include "master/cli/spark.h"
#include "master/cli/text.h"

#include <stdio.h>

#define HEAD_EVERY 20
#define SPARK_WIDTH 60

static void
print_head(const struct cli *c)
{
	if (c->out.terminal)
		fprintf(c->out.f, "%s%-19s %9s %8s %8s %8s %8s %6s %6s %8s %8s%s\n",
		    out_sgr(c->out.colour, OUT_BOLD), "TIME", "REQ/s", "2xx/s", "4xx/s",
		    "5xx/s", "OUT/s", "INFL", "CONNS", "p50", "p99",
		    out_sgr(c->out.colour, OUT_PLAIN));
	else
		fputs("t\trequests_per_s\t2xx_per_s\t4xx_per_s\t5xx_per_s\t"
		      "bytes_out_per_s\tin_flight\tconnections\tp50_us\tp99_us\n",
		    c->out.f);
}

static const char *
micros(double us, char *buf, size_t max)
{
	if (us < 0)
		snprintf(buf, max, "-");
	else
		value_micros(us, buf, max);
	return buf;
}

static void
print_rates(const struct cli *c, const struct sample *a, const struct sample *b)
{
	double rate = sample_rate(a, b, a->requests, b->requests);
	double out = sample_rate(a, b, a->bytes_out, b->bytes_out), by[6];
	char t[32], bytes[32], p50[32], p99[32];

	for (unsigned i = 0; i < ARRAY_LEN(by); i++)
		by[i] = sample_rate(a, b, a->classes[i], b->classes[i]);
	if (c->out.terminal)
		fprintf(c->out.f, "%-19s %9.1f %8.1f %8.1f %8.1f %8s %6.0f %6.0f %8s %8s\n",
		    value_time(b->t, true, t, sizeof(t)), rate, by[2], by[4], by[5],
		    value_bytes(out, bytes, sizeof(bytes)), b->in_flight, b->connections,
		    micros(b->p50, p50, sizeof(p50)), micros(b->p99, p99, sizeof(p99)));
	else
		fprintf(c->out.f,
		    "%.6f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.0f\t%.0f\t%.0f\t%.0f\n", b->t,
		    rate, by[2], by[4], by[5], out, b->in_flight, b->connections, b->p50,
		    b->p99);
	fflush(c->out.f);
}

static json_t *
watch_params(const struct args *a)
{
	double s = json_number_value(args_local(a, "watch"));

	return json_pack("{s:i, s:[s,s,s]}", "interval_ms", (int)(s * 1000), "select",
	    "totals", "latency", "status");
}

struct watch {
	struct cli *c;
	struct sample last;
	uint64_t lines, most; /* most 0: no end */
};

/* False: enough. */
static bool
on_stats(struct watch *w, const struct link_msg *m)
{
	const json_t *params = link_msg_params(m);
	struct str raw = link_msg_text(m, "params");
	struct sample now;

	if (strcmp(value_string(m->root, "method", ""), "stats") != 0)
		return true;
	if (!out_for_people(&w->c->out)) {
		out_json(&w->c->out, raw.p, raw.n);
	} else {
		if (w->lines == 0 || (w->c->out.terminal && w->lines % HEAD_EVERY == 0))
			print_head(w->c);
		sample_read(&now, params);
		print_rates(w->c, &w->last, &now);
		w->last = now;
	}
	return ++w->lines != w->most;
}

static int
watch(struct cli *c, const struct args *a)
{
	struct watch w = {
	    .c = c, .most = (uint64_t)json_integer_value(args_local(a, "count"))};
	json_t *params = watch_params(a);
	struct link_msg m = {0};
	int code = cli_call(c, "stats.subscribe", params, &m);

	json_decref(params);
	if (code == CLI_OK)
		sample_read(&w.last, value_at(link_msg_result(&m), "state"));
	link_msg_finish(&m);
	while (code == CLI_OK) {
		enum link_status st = link_read(&c->link, &m, c->deadline);
		bool more = true;

		if (st == LINK_OK) {
			more = on_stats(&w, &m);
			link_msg_finish(&m);
		}
		if (!more || *c->interrupted ||
		    (st == LINK_TIMEOUT && link_now() >= c->deadline))
			return CLI_OK;
		if (st != LINK_OK && st != LINK_TIMEOUT) {
			cli_say("the server closed the connection");
			return CLI_FAILED;
		}
	}
	return code;
}

int
verb_stats(struct cli *c, const struct args *a)
{
	struct link_msg m = {0};
	int code;

	if (args_has(a, "watch") && json_number_value(args_local(a, "watch")) < 0.1) {
		cli_say("-w: at least 0.1 seconds");
		return CLI_USAGE;
	}
	code = cli_connect(c);
	if (code != CLI_OK || args_has(a, "watch"))
		return code == CLI_OK ? watch(c, a) : code;
	code = cli_call(c, "stats.get", a->params, &m);
	if (code == CLI_OK)
		cli_show(c, NULL, &m);
	link_msg_finish(&m);
	return code;
}

/* One line per moment, one column per series. */
static void
print_history_tsv(struct cli *c, const json_t *r, size_t n)
{
	json_t *series = (json_t *)value_at(r, "series"), *one;
	double t0 = value_number(r, "t0", 0), step = value_number(r, "step_s", 1);
	const char *name;

	fputs("t", c->out.f);
	json_object_foreach(series, name, one)
	{
		char text[VALUE_TEXT_MAX];

		text_clean(name, text, sizeof(text), TEXT_ALL_COLUMNS);
		fprintf(c->out.f, "\t%s", text);
	}
	for (size_t i = 0; i < n; i++) {
		fprintf(c->out.f, "\n%.0f", t0 + step * (double)i);
		json_object_foreach(series, name, one)
		{
			char text[VALUE_TEXT_MAX];

			fprintf(c->out.f, "\t%s", value_raw(json_array_get(one, i), text));
		}
	}
	fputc('\n', c->out.f);
}

static void
print_series(struct cli *c, const char *name, const json_t *values)
{
	struct spark s;
	char line[SPARK_MAX], text[64];

	spark_init(&s, SPARK_WIDTH);
	for (size_t i = 0; i < json_array_size(values); i++)
		spark_add(&s, json_array_get(values, i), i, json_array_size(values));
	text_clean(name, text, sizeof(text), 16);
	fprintf(c->out.f, "%-16s %s  least %.1f  mean %.1f  most %.1f  last %.1f\n", text,
	    spark_draw(&s, line), s.n ? s.least : 0, s.n ? s.sum / (double)s.n : 0, s.most,
	    s.last);
}

int
verb_history(struct cli *c, const struct args *a)
{
	struct link_msg m = {0};
	int code = cli_connect(c);
	const char *name;
	json_t *series, *one;
	size_t n = 0;

	if (code == CLI_OK)
		code = cli_call(c, a->verb->method, a->params, &m);
	if (code != CLI_OK || !out_for_people(&c->out)) {
		if (code == CLI_OK)
			cli_show(c, NULL, &m);
		link_msg_finish(&m);
		return code;
	}
	series = json_object_get(link_msg_result(&m), "series");
	json_object_foreach(series, name, one)
	{
		n = MAX(n, json_array_size(one));
	}
	if (!c->out.terminal)
		print_history_tsv(c, link_msg_result(&m), n);
	else
		json_object_foreach(series, name, one)
		{
			print_series(c, name, one);
		}
	link_msg_finish(&m);
	return CLI_OK;
}
