/* Verbs that start jobs or wait for them: reload, upgrade, stop, wait ...
 * SPDX-License-Identifier: MIT */
#include "master/cli/follow.h"
#include "master/cli/text.h"

#include <stdio.h>
#include <stdlib.h>

int
verb_job(struct cli *c, const struct args *a)
{
	/* Where the method has a token, a lost connection does not make it happen twice. */
	bool token = strncmp(a->verb->method, "workers.", 8) == 0;

	return follow_start(c, a->verb->method, a->params, token);
}

int
verb_stop(struct cli *c, const struct args *a)
{
	return follow_start(c, "server.stop", a->params, false);
}

/* A path of ours is not a path of the server's. */
static int
make_absolute(json_t *params, const char *name)
{
	const char *path = json_string_value(json_object_get(params, name));
	AUTO_FREE char *whole = path && *path != '/' ? realpath(path, NULL) : NULL;

	if (whole == NULL)
		return path == NULL || *path == '/' ? 0 : -1;
	return json_object_set_new(params, name, json_string(whole));
}

int
verb_upgrade(struct cli *c, const struct args *a)
{
	if (make_absolute(a->params, "binary") != 0) {
		cli_say("%s: no such file", value_string(a->params, "binary", ""));
		return CLI_USAGE;
	}
	return follow_start(c, "server.upgrade", a->params, true);
}

/* {"ok":true|false, ...}: shown as a job that ended so. */
static int
show_check(struct cli *c, const struct link_msg *m)
{
	const json_t *r = link_msg_result(m);
	const char *trace = value_string(r, "exception.traceback", NULL);

	if (!out_for_people(&c->out))
		cli_show(c, NULL, m);
	if (json_is_true(value_at(r, "ok"))) {
		out_line(&c->out, "a reload would work");
		return CLI_OK;
	}
	cli_say("a reload would fail at %s: %s", value_string(r, "stage", "?"),
	    value_string(
		r, "why", value_string(r, "exception.message", "no reason given")));
	if (trace == NULL)
		trace = value_string(r, "traceback", value_string(r, "stderr_tail", NULL));
	fflush(stdout);
	if (trace != NULL)
		text_put_lines(stderr, trace, "");
	return CLI_FAILED;
}

static int
check(struct cli *c)
{
	struct link_msg m = {0};
	int code = cli_connect(c);
	const char *job;

	/* An import may take longer than other answers. */
	if (code == CLI_OK && c->deadline == CLI_FOREVER)
		c->deadline = link_now() + 10 * (int64_t)CLI_REPLY_MS;
	if (code == CLI_OK) {
		struct err e = {0};
		enum link_status st =
		    link_call(&c->link, "reload.check", NULL, c->deadline, &m, &e);

		if (st == LINK_REFUSED)
			code = cli_refused(c, "reload.check", &m);
		else if (st != LINK_OK)
			return cli_explain(c, st, &e);
	}
	job = value_string(link_msg_result(&m), "job", NULL);
	if (code == CLI_OK && value_at(link_msg_result(&m), "ok") != NULL)
		code = show_check(c, &m);
	else if (code == CLI_OK && job != NULL)
		code = follow_job(c, job);
	link_msg_finish(&m);
	return code;
}

int
verb_reload(struct cli *c, const struct args *a)
{
	if (!args_has(a, "check"))
		return follow_start(c, "reload.start", a->params, true);
	if (json_object_size(a->params) > 0) {
		cli_say("--check goes with no other option of reload");
		return CLI_USAGE;
	}
	return check(c);
}

/* `job`: as it is; `wait`: when it has ended. */
int
verb_wait(struct cli *c, const struct args *a)
{
	const char *id = value_string(a->params, "job", "");
	struct link_msg m = {0};
	const json_t *job;
	int code = cli_connect(c);

	if (code == CLI_OK)
		code = cli_call(c, "jobs.get", a->params, &m);
	if (code != CLI_OK)
		return code;
	job = link_msg_result(&m);
	if (strcmp(a->verb->method, "jobs.get") == 0)
		cli_show(c, NULL, &m);
	else if (follow_is_final(value_string(job, "state", "")))
		code = follow_show_end(c, job);
	else
		code = follow_job(c, id);
	link_msg_finish(&m);
	return code;
}
