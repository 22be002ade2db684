/* The options as Markdown and as the lists of the manual pages.
 * SPDX-License-Identifier: MIT */
#include "docs/gen/gen.h"

#include "common/conf_cli.h"
#include "common/conf_option.h"
#include "common/conf_value.h"

#include <inttypes.h>

/* Help texts begin in lower case behind an option; here they are sentences. */
static void
put_sentence(FILE *out, const char *text)
{
	char first = text[0];

	if (first >= 'a' && first <= 'z' && (text[1] < 'A' || text[1] > 'Z'))
		first = (char)(first - 'a' + 'A');
	fputc(first, out);
	fputs(text + 1, out);
	if (text[strlen(text) - 1] != '.')
		fputc('.', out);
}

/* What a value may be, in words: "1 to 1024", "at least 100ms". "" when anything goes. */
static const char *
range_text(enum conf_id id, char *buf, size_t max)
{
	const struct conf_option *o = &conf_options[id];
	char lo[CONF_VALUE_TEXT_MAX], hi[CONF_VALUE_TEXT_MAX];

	buf[0] = '\0';
	if (conf_option_is_mode(id))
		return buf;
	if (o->type == CONF_T_MS) {
		conf_value_duration_text(o->min, lo);
		conf_value_duration_text(o->max, hi);
	} else if (o->type == CONF_T_SIZE) {
		conf_value_size_text(o->min, lo);
		conf_value_size_text(o->max, hi);
	} else if (o->type == CONF_T_INT) {
		snprintf(lo, sizeof(lo), "%" PRId64, o->min);
		snprintf(hi, sizeof(hi), "%" PRId64, o->max);
	} else {
		return buf;
	}
	if (o->max != INT64_MAX)
		snprintf(buf, max, "%s to %s", lo, hi);
	else if (o->min > 0)
		snprintf(buf, max, "at least %s", lo);
	return buf;
}

/* How the value is written in a config file. */
static const char *
type_text(enum conf_id id)
{
	static const char *const words[] = {
	    [CONF_T_BOOL] = "true or false",
	    [CONF_T_INT] = "number",
	    [CONF_T_MS] = "duration",
	    [CONF_T_SIZE] = "size",
	    [CONF_T_STR] = "string",
	    [CONF_T_LIST] = "list of strings",
	};

	return conf_option_is_mode(id) ? "octal mode" : words[conf_options[id].type];
}

/* A bar would end the cell. */
static void
put_cell(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void
markdown_option(FILE *out, enum conf_id id)
{
	const struct conf_option *o = &conf_options[id];
	char buf[CONF_KEY_MAX], range[128];
	const char *dflt = conf_option_default(id, buf);

	fputs("| ", out);
	if (o->letter != 0)
		fprintf(out, "`-%c` ", o->letter);
	fprintf(out, "`--%s", o->name);
	if (o->arg != NULL) {
		if (o->arg[0] != '[')
			fputc(' ', out);
		put_cell(out, o->arg);
	}
	fputs("` | ", out);
	fprintf(out, *dflt ? "`%s`" : "%s", dflt);
	range_text(id, range, sizeof(range));
	fprintf(out, " | %s%s%s | ", type_text(id), *range ? ", " : "", range);
	put_cell(out, o->help);
	fputs(" |\n", out);
}

void
gen_markdown(FILE *out)
{
	fputs(
	    "<!-- Made by scripts/gen-docs from common/conf.def; do not edit. -->\n"
	    "# Options\n\n"
	    "The key in a config file is the long name with `_` for `-`; the environment\n"
	    "variable is `SHOAL_` and the key in capitals. A switch `--x` is turned off "
	    "with\n"
	    "`--no-x`. Durations: `30`, `0.5`, `30s`, `1h30m`; sizes: `65536`, `64k`, "
	    "`1MiB`.\n",
	    out);
	for (unsigned g = 0; g < CONF_G_COUNT; g++) {
		fprintf(out, "\n## %s\n\n", conf_group_titles[g]);
		fputs("| option | default | value | meaning |\n| --- | --- | --- | --- |\n",
		    out);
		for (unsigned i = 0; i < CONF_COUNT; i++)
			if (conf_options[i].group == g)
				markdown_option(out, (enum conf_id)i);
	}
	fputs("\n## Other\n\n| option | meaning |\n| --- | --- |\n", out);
	for (size_t i = 0; i < CONF_CLI_EXTRAS; i++) {
		const struct conf_cli_extra *x = &conf_cli_extras[i];

		fputs("| ", out);
		if (x->letter != 0)
			fprintf(out, "`-%c` ", x->letter);
		fprintf(out, "`--%s%s%s` | %s |\n", x->name, x->arg ? " " : "",
		    x->arg ? x->arg : "", x->help);
	}
}

static void
man_flags(FILE *out, char letter, const char *name, const char *arg)
{
	fputs(".It ", out);
	if (letter != 0)
		fprintf(out, "Fl %c , ", letter);
	fprintf(out, "Fl \\-%s", name);
	if (arg != NULL && arg[0] == '[')
		fprintf(out, " Ns Ar %s", arg);
	else if (arg != NULL)
		fprintf(out, " Ar %s", arg);
	fputc('\n', out);
}

static void
man_option(FILE *out, enum conf_id id)
{
	const struct conf_option *o = &conf_options[id];
	bool on = o->type == CONF_T_BOOL && o->def_num != 0;
	char name[CONF_KEY_MAX + 3], buf[CONF_KEY_MAX];
	const char *dflt = o->type == CONF_T_BOOL ? "" : conf_option_default(id, buf);

	snprintf(name, sizeof(name), "%s%s", on ? "no-" : "", o->name);
	man_flags(out, o->letter, name, o->arg);
	if (on)
		fprintf(out, "Do not %s.", o->help);
	else
		put_sentence(out, o->help);
	fputc('\n', out);
	if (*dflt != '\0')
		fprintf(out, "The default is\n.Cm %s .\n", dflt);
}

void
gen_man_options(FILE *out)
{
	for (unsigned g = 0; g < CONF_G_COUNT; g++) {
		fprintf(out, ".Ss %s\n.Bl -tag -width Ds\n", conf_group_titles[g]);
		for (unsigned i = 0; i < CONF_COUNT; i++)
			if (conf_options[i].group == g)
				man_option(out, (enum conf_id)i);
		fputs(".El\n", out);
	}
	fputs(".Ss Other\n.Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < CONF_CLI_EXTRAS; i++) {
		const struct conf_cli_extra *x = &conf_cli_extras[i];

		man_flags(out, x->letter, x->name, x->arg);
		put_sentence(out, x->help);
		fputc('\n', out);
	}
	fputs(".El\n", out);
}

static void
man_key(FILE *out, enum conf_id id)
{
	char buf[CONF_KEY_MAX], range[128];
	const char *dflt;

	fprintf(out, ".It Cm %s Pq %s\n", conf_option_key(id, buf), type_text(id));
	put_sentence(out, conf_options[id].help);
	fputc('\n', out);
	if (*range_text(id, range, sizeof(range)) != '\0')
		fprintf(out, "Values: %s.\n", range);
	else if (conf_option_is_choice(id))
		fprintf(out, "Values: %.*s.\n", (int)conf_option_words(id).n,
		    conf_option_words(id).p);
	dflt = conf_option_default(id, buf);
	if (*dflt != '\0')
		fprintf(out, "The default is\n.Cm %s .\n", dflt);
}

void
gen_man_keys(FILE *out)
{
	for (unsigned g = 0; g < CONF_G_COUNT; g++) {
		fprintf(out, ".Ss %s\n.Bl -tag -width Ds\n", conf_group_titles[g]);
		for (unsigned i = 0; i < CONF_COUNT; i++)
			if (conf_options[i].group == g)
				man_key(out, (enum conf_id)i);
		fputs(".El\n", out);
	}
}
