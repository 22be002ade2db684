/* Verbs about the instance, and the plain ones: one request, one reply.
 * SPDX-License-Identifier: MIT */
#include "master/cli/cli.h"
#include "master/cli/find.h"
#include "master/cli/views.h"

#include <time.h>

#define PROBE_MS 1000

int
verb_call(struct cli *c, const struct args *a)
{
	struct link_msg m = {0};
	int code = cli_connect(c);

	if (code == CLI_OK)
		code = cli_call(c, a->verb->method, a->params, &m);
	if (code == CLI_OK)
		cli_show(c, a->verb->view, &m);
	link_msg_finish(&m);
	return code;
}

int
verb_status(struct cli *c, const struct args *a)
{
	struct link_msg m = {0};
	int code = cli_connect(c);

	if (code == CLI_OK)
		code = cli_call(c, a->verb->method, a->params, &m);
	/* For people with the name of whom they look at. */
	if (code == CLI_OK && out_for_people(&c->out))
		json_object_set(link_msg_result(&m), "instance",
		    json_object_get(c->link.hello, "instance"));
	if (code == CLI_OK)
		cli_show(c, a->verb->view, &m);
	link_msg_finish(&m);
	return code;
}

int
verb_ping(struct cli *c, const struct args *a)
{
	struct link_msg m = {0};
	struct timespec t0, t1;
	int code = cli_connect(c);

	clock_gettime(CLOCK_MONOTONIC, &t0);
	if (code == CLI_OK)
		code = cli_call(c, a->verb->method, a->params, &m);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	if (code == CLI_OK && out_for_people(&c->out)) {
		char text[64];
		double us = (double)(t1.tv_sec - t0.tv_sec) * 1e6 +
			    (double)(t1.tv_nsec - t0.tv_nsec) / 1e3;

		out_line(&c->out, "%s answers in %s", c->link.path,
		    value_micros(us, text, sizeof(text)));
	} else if (code == CLI_OK) {
		cli_show(c, NULL, &m);
	}
	link_msg_finish(&m);
	return code;
}

/* What one of them says of itself; it may be slow or dead, and that is no reason to fail.
 */
static json_t *
describe(const struct find_instance *f)
{
	static const char *const states[] = {
	    [FIND_UP] = "up",
	    [FIND_STALE] = "stale",
	    [FIND_NO_ENTRY] = "denied",
	};
	json_t *row = json_pack("{s:s, s:s, s:s}", "name", f->name, "state",
	    states[f->state], "socket", f->path);
	struct link l;
	struct link_msg m = {0};
	struct err e;

	if (f->state != FIND_UP)
		return row;
	link_init(&l, f->path);
	if (link_open(&l, link_now() + PROBE_MS, &e) != LINK_OK) {
		json_object_set_new(row, "state", json_string("silent"));
	} else if (link_call(&l, "server.status", NULL, link_now() + PROBE_MS, &m, &e) ==
		   LINK_OK) {
		const json_t *r = link_msg_result(&m);
		json_t *workers =
		    json_sprintf("%.0f/%.0f", value_number(r, "workers.ready", 0),
			value_number(r, "workers.target", 0));

		json_object_set_new(row, "workers", workers);
		json_object_set(row, "state", json_object_get(r, "state"));
		json_object_set(row, "pid", json_object_get(l.hello, "pid"));
		json_object_set(row, "generation", json_object_get(r, "generation"));
		json_object_set(row, "uptime_s", json_object_get(r, "uptime_s"));
	}
	link_msg_finish(&m);
	link_finish(&l);
	return row;
}

int
verb_instances(struct cli *c, const struct args *a)
{
	struct find *f = calloc(1, sizeof(*f));
	json_t *rows = json_array();

	if (f != NULL) {
		find_default_dirs(f);
		find_scan(f);
		for (size_t i = 0; i < f->n; i++)
			json_array_append_new(rows, describe(&f->v[i]));
	}
	if (out_for_people(&c->out))
		out_table(&c->out, a->verb->view, rows);
	else
		out_json_value(&c->out, rows, false);
	json_decref(rows);
	free(f);
	return CLI_OK;
}
