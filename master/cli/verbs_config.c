/* Verbs about the configuration: values with their origin, differences, errors.
 * SPDX-License-Identifier: MIT */
#include "master/cli/cli.h"
#include "master/cli/views.h"

#include <stdio.h>
#include <stdlib.h>

/* {"workers":{"value":2,"source":"..."}} as rows; new reference. */
static json_t *
rows_of(json_t *options)
{
	json_t *rows = json_array(), *one;
	const char *key;

	json_object_foreach(options, key, one)
	{
		json_t *row = json_copy(one);

		json_object_set_new(row, "path", json_string(key));
		json_array_append_new(rows, row);
	}
	return rows;
}

int
verb_config_get(struct cli *c, const struct args *a)
{
	struct link_msg m = {0};
	int code = cli_connect(c);
	json_t *options;

	if (code == CLI_OK)
		code = cli_call(c, a->verb->method, a->params, &m);
	options = json_object_get(link_msg_result(&m), "options");
	if (code == CLI_OK && out_for_people(&c->out) && options != NULL) {
		json_t *rows = rows_of(options);

		out_table(&c->out, a->verb->view, rows);
		json_decref(rows);
	} else if (code == CLI_OK) {
		cli_show(c, NULL, &m);
	}
	link_msg_finish(&m);
	return code;
}

/* Exit code 1 when it is wrong. */
int
verb_config_check(struct cli *c, const struct args *a)
{
	const char *path = json_string_value(json_object_get(a->params, "file"));
	AUTO_FREE char *whole = path ? realpath(path, NULL) : NULL;
	struct link_msg m = {0};
	int code;

	/* The server's working directory is another. */
	if (path != NULL && whole == NULL) {
		cli_say("%s: no such file", path);
		return CLI_USAGE;
	}
	if (whole != NULL)
		json_object_set_new(a->params, "file", json_string(whole));
	code = cli_connect(c);
	if (code == CLI_OK)
		code = cli_call(c, a->verb->method, a->params, &m);
	if (code != CLI_OK)
		return code;
	if (!out_for_people(&c->out))
		cli_show(c, NULL, &m);
	else if (json_is_true(value_at(link_msg_result(&m), "ok")))
		out_line(&c->out, "the configuration is right");
	else
		out_reply(&c->out, &view_errors, link_msg_result(&m));
	code = json_is_true(value_at(link_msg_result(&m), "ok")) ? CLI_OK : CLI_FAILED;
	link_msg_finish(&m);
	return code;
}
