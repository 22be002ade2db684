/* Verbs that show what happens: events and the log. SPDX-License-Identifier: MIT */
#include "master/cli/cli.h"
#include "master/cli/event_text.h"
#include "master/cli/text.h"

#include <stdio.h>

#define EVENT_TEXT_MAX 4096
#define TAIL 100
#define QUIET_MS 200 /* the tail of a log has come when nothing more does */

static void
print_human(struct cli *c, const json_t *ev)
{
	const json_t *data = value_at(ev, "data");
	char t[32], type[64], raw[EVENT_TEXT_MAX], text[EVENT_TEXT_MAX * 2];

	text_clean(value_string(ev, "type", "?"), type, sizeof(type), TEXT_ALL_COLUMNS);
	text_clean(
	    event_details(data, raw, sizeof(raw)), text, sizeof(text), TEXT_ALL_COLUMNS);
	fprintf(c->out.f, "%s%s%s  %-20s %s\n", out_sgr(c->out.colour, OUT_DIM),
	    value_time(value_number(ev, "t", 0), true, t, sizeof(t)),
	    out_sgr(c->out.colour, OUT_PLAIN), type, text);
}

static void
print_tsv(struct cli *c, const json_t *ev)
{
	AUTO_FREE char *data = value_dump(value_at(ev, "data"), 0);
	char type[64];

	text_clean(value_string(ev, "type", "?"), type, sizeof(type), TEXT_ALL_COLUMNS);
	fprintf(c->out.f, "%.0f\t%.6f\t%s\t%s", value_number(ev, "seq", 0),
	    value_number(ev, "t", 0), type, data ? data : "{}\n");
}

static void
print_event(struct cli *c, const json_t *ev, struct str raw)
{
	if (c->out.mode == OUT_QUIET)
		return;
	if (!out_for_people(&c->out) && raw.p != NULL)
		out_json(&c->out, raw.p, raw.n);
	else if (!out_for_people(&c->out))
		out_json_value(&c->out, ev, false);
	else if (c->out.terminal)
		print_human(c, ev);
	else
		print_tsv(c, ev);
	fflush(c->out.f);
}

/* A line of the log: as it stands there, but for what must not reach a terminal. */
static void
print_log(struct cli *c, const json_t *ev, struct str raw)
{
	const json_t *data = value_at(ev, "data");
	const char *line = value_string(data, "line", value_string(data, "text", NULL));
	char clean[EVENT_TEXT_MAX];

	if (!out_for_people(&c->out) || line == NULL) {
		print_event(c, ev, raw);
		return;
	}
	text_clean(line, clean, sizeof(clean), TEXT_ALL_COLUMNS);
	fprintf(c->out.f, "%s\n", clean);
	fflush(c->out.f);
}

typedef void print_fn(struct cli *c, const json_t *ev, struct str raw);

/* Until interrupted, or until nothing comes for `quiet_ms` (0: for ever). */
static int
print_stream(struct cli *c, print_fn *print, int64_t quiet_ms)
{
	for (;;) {
		int64_t until = c->deadline;
		struct link_msg m;
		enum link_status st;

		if (quiet_ms > 0)
			until = MIN(until, link_now() + quiet_ms);
		st = link_read(&c->link, &m, until);
		if (st == LINK_OK) {
			if (link_msg_params(&m) != NULL)
				print(c, link_msg_params(&m), link_msg_text(&m, "params"));
			link_msg_finish(&m);
		} else if (st == LINK_TIMEOUT && link_now() >= until) {
			return CLI_OK;
		} else if (st != LINK_TIMEOUT) {
			cli_say("the server closed the connection");
			return CLI_FAILED;
		}
	}
}

static int
show_history(struct cli *c, const struct args *a)
{
	struct link_msg m = {0};
	int code = cli_call(c, "events.history", a->params, &m);
	size_t i;
	json_t *ev;

	if (code != CLI_OK)
		return code;
	if (c->out.mode == OUT_JSON) {
		cli_show(c, NULL, &m);
	} else {
		json_array_foreach(value_at(link_msg_result(&m), "events"), i, ev)
		{
			print_event(c, ev, (struct str){0});
		}
	}
	link_msg_finish(&m);
	return CLI_OK;
}

int
verb_events(struct cli *c, const struct args *a)
{
	struct link_msg m = {0};
	int code = cli_connect(c);

	if (code != CLI_OK || !args_has(a, "follow"))
		return code == CLI_OK ? show_history(c, a) : code;
	json_object_del(a->params, "limit");
	code = cli_call(c, "events.subscribe", a->params, &m);
	link_msg_finish(&m);
	return code == CLI_OK ? print_stream(c, print_event, 0) : code;
}

int
verb_logs(struct cli *c, const struct args *a)
{
	struct link_msg m = {0};
	int code = cli_connect(c);

	if (code != CLI_OK)
		return code;
	if (json_object_get(a->params, "tail") == NULL)
		json_object_set_new(a->params, "tail", json_integer(TAIL));
	code = cli_call(c, a->verb->method, a->params, &m);
	link_msg_finish(&m);
	if (code != CLI_OK)
		return code;
	return print_stream(c, print_log, args_has(a, "follow") ? 0 : QUIET_MS);
}
