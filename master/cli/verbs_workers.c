/* The verb that shows stacks: workers.trace. SPDX-License-Identifier: MIT */
#include "master/cli/cli.h"
#include "master/cli/text.h"
#include "master/cli/trace.h"

int
verb_trace(struct cli *c, const struct args *a)
{
	struct link_msg m = {0};
	int code = cli_connect(c);

	if (code == CLI_OK)
		code = cli_call(c, a->verb->method, a->params, &m);
	if (code == CLI_OK && out_for_people(&c->out)) {
		AUTO_FREE char *text = trace_text(link_msg_result(&m));

		if (text != NULL)
			text_put_lines(c->out.f, text, "");
	} else if (code == CLI_OK) {
		cli_show(c, NULL, &m);
	}
	link_msg_finish(&m);
	return code;
}
