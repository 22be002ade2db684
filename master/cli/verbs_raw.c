/* Verbs of the protocol itself: any method, and the schemas. SPDX-License-Identifier: MIT
 */
#include "master/cli/cli.h"

/* JSON is what was asked for: indented on a terminal, as it came in a pipe. */
static int
call_json(struct cli *c, const char *method, json_t *params)
{
	struct link_msg m = {0};
	int code = cli_connect(c);

	if (code == CLI_OK)
		code = cli_call(c, method, params, &m);
	if (code == CLI_OK && out_for_people(&c->out) && c->out.terminal)
		out_json_value(&c->out, link_msg_result(&m), true);
	else if (code == CLI_OK && c->out.mode != OUT_QUIET) {
		struct str raw = link_msg_text(&m, "result");

		out_json(&c->out, raw.p, raw.n);
	}
	link_msg_finish(&m);
	return code;
}

int
verb_raw(struct cli *c, const struct args *a)
{
	return call_json(
	    c, value_string(a->params, "method", ""), (json_t *)args_local(a, "params"));
}

int
verb_schema(struct cli *c, const struct args *a)
{
	return call_json(c, a->verb->method, a->params);
}
