/* The methods, events and errors of the control socket as Markdown.
 * SPDX-License-Identifier: MIT */
#include "docs/gen/gen.h"

#include "common/ctl_table.h"

#include <inttypes.h>

static void
put_cell(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void
put_range(FILE *out, const struct ctl_param *p)
{
	bool text = p->type == CTL_T_STRING || p->type == CTL_T_STRINGS;

	if (p->words != NULL) {
		fputs(": `", out);
		put_cell(out, p->words);
		fputc('`', out);
	} else if (p->type != CTL_T_BOOLEAN && p->max == INT64_MAX) {
		fprintf(out, ", from %" PRId64, p->min);
	} else if (p->type != CTL_T_BOOLEAN) {
		fprintf(out, ", %" PRId64 " to %" PRId64 "%s", p->min, p->max,
		    text ? " bytes" : "");
	}
}

static void
put_params(FILE *out, size_t method)
{
	bool any = false;

	for (size_t i = 0; i < ctl_n_params; i++) {
		const struct ctl_param *p = &ctl_params[i];

		if ((size_t)p->method != method)
			continue;
		if (!any)
			fputs("\n| parameter | value | meaning |\n| --- | --- | --- |\n",
			    out);
		any = true;
		fprintf(out, "| `%s`%s | %s", p->name, p->required ? " (required)" : "",
		    ctl_type_name(p->type));
		put_range(out, p);
		fputs(" | ", out);
		put_cell(out, p->help);
		fputs(" |\n", out);
	}
}

void
gen_methods(FILE *out)
{
	fputs(
	    "<!-- Made by scripts/gen-docs from common/ctl.def and events.def; do not "
	    "edit. "
	    "-->\n"
	    "# Methods of the control socket\n\n"
	    "How they are called is in [CONTROL.md](../CONTROL.md). The role is the least "
	    "that may\ncall it.\n",
	    out);
	for (size_t i = 0; i < CTL_METHODS; i++) {
		const struct ctl_method *m = &ctl_methods[i];

		fprintf(out, "\n## %s\n\nRole: %s%s. ", m->name, ctl_role_name(m->role),
		    m->audit ? ", written down" : "");
		fprintf(out, "%c%s.\n", m->help[0] >= 'a' ? m->help[0] - 32 : m->help[0],
		    m->help + 1);
		put_params(out, i);
	}
	fputs("\n## Events\n\n| type | when |\n| --- | --- |\n", out);
#define EVENT(ident, name, repeats, text) fprintf(out, "| `%s` | %s |\n", name, text);
#include "common/events.def"
#undef EVENT
	fputs("\n## Errors\n\n| code | kind | data |\n| --- | --- | --- |\n", out);
	for (size_t i = 0; i < CTL_KINDS; i++)
		fprintf(out, "| %d | `%s` | %s |\n", ctl_errors[i].code, ctl_errors[i].kind,
		    ctl_errors[i].data);
}
