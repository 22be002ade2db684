/* The methods of the control socket for shoal-control(7): parameters from common/ctl.def,
 * with an example of each. SPDX-License-Identifier: MIT */
#include "docs/gen/gen.h"

#include "common/ctl_table.h"

#include <inttypes.h>

#define LINE_COLUMNS 70

static const struct {
	const char *params, *result;
} examples[CTL_METHODS] = {
#define EXAMPLE(ident, params, result) [CTL_M_##ident] = {params, result},
#include "docs/gen/control_examples.def"
#undef EXAMPLE
};

static const char *
type_text(const struct ctl_param *p)
{
	if (p->type == CTL_T_STRINGS)
		return "array of strings";
	return p->type == CTL_T_INTEGERS ? "array of integers" : ctl_type_name(p->type);
}

static void
put_param(FILE *out, const struct ctl_param *p)
{
	fprintf(out, ".It Cm %s Pq %s%s", p->name, type_text(p),
	    p->required ? ", required" : "");
	if (p->words != NULL) {
		fputs(": ", out);
		for (const char *w = p->words; *w != '\0'; w++)
			fputs(*w == '|' ? ", " : (char[]){*w, '\0'}, out);
	} else if (p->type == CTL_T_INTEGER || p->type == CTL_T_NUMBER ||
		   p->type == CTL_T_INTEGERS) {
		fprintf(out, ", %" PRId64, p->min);
		if (p->max != INT64_MAX)
			fprintf(out, " to %" PRId64, p->max);
		else
			fputs(" or more", out);
	}
	fprintf(out, "\n%c%s.\n",
	    p->help[0] >= 'a' && p->help[0] <= 'z' ? p->help[0] - 32 : p->help[0],
	    p->help + 1);
}

static void
put_params(FILE *out, enum ctl_method_id m)
{
	bool any = false;

	for (size_t i = 0; i < ctl_n_params; i++) {
		if (ctl_params[i].method != m)
			continue;
		if (!any)
			fputs(".Bl -tag -width Ds\n", out);
		any = true;
		put_param(out, &ctl_params[i]);
	}
	if (any)
		fputs(".El\n", out);
}

/* JSON over several lines, broken behind commas; a long string stays whole. */
static void
put_json(FILE *out, const char *mark, const char *json)
{
	size_t column = LINE_COLUMNS;
	bool first = true;

	while (*json != '\0') {
		size_t n = 0;
		bool string = false;

		/* Up to the next comma that is not inside of a string. */
		while (json[n] != '\0' && (string || json[n] != ',')) {
			if (json[n] == '\\')
				n++;
			else if (json[n] == '"')
				string = !string;
			n++;
		}
		n += json[n] == ',';
		if (first || column + n > LINE_COLUMNS) {
			fprintf(out, "%s%s", first ? "" : "\n", first ? mark : "   ");
			column = 0;
		}
		first = false;
		column += n;
		for (; n > 0; n--, json++)
			fputs(*json == '\\' ? "\\e" : (char[]){*json, '\0'}, out);
	}
	fputc('\n', out);
}

static void
put_example(FILE *out, enum ctl_method_id m)
{
	char *text = NULL;

	fputs(".Bd -literal\n", out);
	if (asprintf(&text, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"%s\"%s%s}",
		(unsigned)m + 1, ctl_methods[m].name,
		examples[m].params ? ",\"params\":" : "",
		examples[m].params ? examples[m].params : "") > 0)
		put_json(out, "-> ", text);
	free(text);
	text = NULL;
	if (asprintf(&text, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"result\":%s}",
		(unsigned)m + 1, examples[m].result) > 0)
		put_json(out, "<- ", text);
	free(text);
	fputs(".Ed\n", out);
}

void
gen_control_methods(FILE *out)
{
	for (unsigned m = 0; m < CTL_METHODS; m++) {
		const struct ctl_method *method = &ctl_methods[m];

		fprintf(out, ".Ss %s\n%c%s.\nNeeds the role\n.Cm %s .\n", method->name,
		    method->help[0] - 32, method->help + 1, ctl_role_name(method->role));
		put_params(out, (enum ctl_method_id)m);
		put_example(out, (enum ctl_method_id)m);
	}
}

void
gen_control_events(FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
#define EVENT(ident, type, repeats, when)                                                  \
	fprintf(out, ".It Cm %s\n%c%s.\n", type, (when)[0] - 32, (when) + 1);
#include "common/events.def"
#undef EVENT
	fputs(".El\n", out);
}

void
gen_control_errors(FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (unsigned i = 0; i < CTL_KINDS; i++) {
		fprintf(out, ".It Cm %s Pq %d\n", ctl_errors[i].kind, ctl_errors[i].code);
		if (ctl_errors[i].data != NULL && *ctl_errors[i].data != '\0')
			fprintf(out, "With %s.\n", ctl_errors[i].data);
	}
	fputs(".El\n", out);
}
