/* Completions for bash, zsh and fish from the table of options.
 * SPDX-License-Identifier: MIT */
#include "docs/gen/gen.h"

#include "common/conf_cli.h"
#include "common/conf_option.h"

/* One option as a shell sees it, from either table. */
struct item {
	char letter;
	char name[CONF_KEY_MAX + 3];
	const char *arg, *help;
	struct str words; /* the values it takes; empty: any */
	bool optional;    /* the value may be left out, and follows behind a = */
	bool repeats;
};

#define ITEMS (CONF_COUNT + CONF_CLI_EXTRAS)

static struct item
item_at(unsigned i)
{
	struct item it = {0};

	if (i < CONF_COUNT) {
		const struct conf_option *o = &conf_options[i];
		bool on = o->type == CONF_T_BOOL && o->def_num != 0;

		snprintf(it.name, sizeof(it.name), "%s%s", on ? "no-" : "", o->name);
		it.letter = o->letter;
		it.arg = o->arg;
		it.help = o->help;
		it.words = conf_option_words((enum conf_id)i);
		it.optional = it.words.n > 0 && o->arg[0] == '[';
		it.repeats = o->type == CONF_T_LIST;
	} else {
		const struct conf_cli_extra *x = &conf_cli_extras[i - CONF_COUNT];

		snprintf(it.name, sizeof(it.name), "%s", x->name);
		it.letter = x->letter;
		it.arg = x->arg;
		it.help = x->help;
	}
	return it;
}

static bool
takes(const struct item *it, const char *arg)
{
	return it->arg != NULL && strcmp(it->arg, arg) == 0;
}

/* "auto|embed" as "auto embed". */
static void
put_words(FILE *out, struct str words)
{
	for (size_t i = 0; i < words.n; i++)
		fputc(words.p[i] == '|' ? ' ' : words.p[i], out);
}

/* An option for bash's list; one with an optional word with each of them, too. */
static void
bash_name(FILE *out, const struct item *it)
{
	const char *p = it->words.p, *end = p + it->words.n;

	fprintf(out, "\t\t\t--%s\n", it->name);
	while (it->optional && p < end) {
		const char *bar = memchr(p, '|', (size_t)(end - p));

		fprintf(
		    out, "\t\t\t--%s=%.*s\n", it->name, (int)((bar ? bar : end) - p), p);
		p = bar ? bar + 1 : end;
	}
}

/* The branch for all options whose value is an `arg`. */
static void
bash_case(FILE *out, const char *arg, const char *action)
{
	const char *bar = "\t";

	for (unsigned i = 0; i < ITEMS; i++) {
		struct item it = item_at(i);

		if (!takes(&it, arg))
			continue;
		fputs(bar, out);
		if (it.letter != 0)
			fprintf(out, "-%c | ", it.letter);
		fprintf(out, "--%s", it.name);
		bar = " | ";
	}
	fprintf(out,
	    ")\n\t\tmapfile -t COMPREPLY < <(compgen %s -- \"$cur\")\n"
	    "\t\treturn\n\t\t;;\n",
	    action);
}

void
gen_bash(FILE *out)
{
	fputs(
	    "# bash completion for shoal. Made by scripts/gen-docs from common/conf.def.\n"
	    "# SPDX-License-Identifier: MIT\n"
	    "_shoal() {\n"
	    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	    "\tcase $prev in\n",
	    out);
	bash_case(out, "FILE", "-f");
	bash_case(out, "DIR", "-d");
	bash_case(out, "USER", "-u");
	bash_case(out, "GROUP", "-g");
	for (unsigned i = 0; i < ITEMS; i++) {
		struct item it = item_at(i);

		if (it.words.n == 0 || it.optional)
			continue;
		fprintf(out, "\t--%s)\n\t\tmapfile -t COMPREPLY < <(compgen -W '", it.name);
		put_words(out, it.words);
		fputs("' -- \"$cur\")\n\t\treturn\n\t\t;;\n", out);
	}
	fputs("\tesac\n\tif [[ $cur == -* ]]; then\n\t\tmapfile -t COMPREPLY < <(compgen "
	      "-W '\n",
	    out);
	for (unsigned i = 0; i < ITEMS; i++) {
		struct item it = item_at(i);

		bash_name(out, &it);
	}
	fputs("\t\t' -- \"$cur\")\n\telse\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -f -X '!*.py' -- \"$cur\")\n"
	      "\tfi\n}\ncomplete -o filenames -F _shoal shoal\n",
	    out);
}

/* Inside of '...[help]': quotes, brackets and colons have a meaning. */
static void
zsh_help(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs("'\\'", out);
		else if (strchr("[]:\\", *text) != NULL)
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void
zsh_item(FILE *out, const struct item *it)
{
	fputs("\t", out);
	if (it->letter != 0 && !it->repeats)
		fprintf(out, "'(-%c --%s)'", it->letter, it->name);
	if (it->repeats)
		fputs("'*'", out);
	if (it->letter != 0)
		fprintf(out, "{-%c,--%s}'[", it->letter, it->name);
	else
		fprintf(out, "'--%s%s[", it->name, it->optional ? "=-" : "");
	zsh_help(out, it->help);
	fputc(']', out);
	if (it->words.n > 0) {
		fputs(it->optional ? "::value:(" : ":value:(", out);
		put_words(out, it->words);
		fputc(')', out);
	} else if (takes(it, "FILE")) {
		fputs(":file:_files", out);
	} else if (takes(it, "DIR")) {
		fputs(":directory:_files -/", out);
	} else if (takes(it, "USER")) {
		fputs(":user:_users", out);
	} else if (takes(it, "GROUP")) {
		fputs(":group:_groups", out);
	} else if (it->arg != NULL) {
		fprintf(out, ":%s:", it->arg);
	}
	fputs("' \\\n", out);
}

void
gen_zsh(FILE *out)
{
	fputs("#compdef shoal\n"
	      "# zsh completion for shoal. Made by scripts/gen-docs from common/conf.def.\n"
	      "# SPDX-License-Identifier: MIT\n"
	      "_arguments -s -S \\\n",
	    out);
	for (unsigned i = 0; i < ITEMS; i++) {
		struct item it = item_at(i);

		zsh_item(out, &it);
	}
	fputs("\t'1:application:_files -g \"*.py\"'\n", out);
}

/* Single quotes of fish: \' and \\ . */
static void
fish_quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('\'', out);
}

static void
fish_item(FILE *out, const struct item *it)
{
	fputs("complete -c shoal", out);
	if (it->letter != 0)
		fprintf(out, " -s %c", it->letter);
	fprintf(out, " -l %s", it->name);
	if (it->words.n > 0) {
		fputs(it->optional ? " -f -a '" : " -x -a '", out);
		put_words(out, it->words);
		fputc('\'', out);
	} else if (takes(it, "FILE") || takes(it, "DIR")) {
		fputs(" -r -F", out);
	} else if (takes(it, "USER")) {
		fputs(" -x -a '(__fish_complete_users)'", out);
	} else if (takes(it, "GROUP")) {
		fputs(" -x -a '(__fish_complete_groups)'", out);
	} else if (it->arg != NULL) {
		fputs(" -x", out);
	}
	fputs(" -d ", out);
	fish_quoted(out, it->help);
	fputc('\n', out);
}

void
gen_fish(FILE *out)
{
	fputs(
	    "# fish completion for shoal. Made by scripts/gen-docs from common/conf.def.\n"
	    "# SPDX-License-Identifier: MIT\n",
	    out);
	for (unsigned i = 0; i < ITEMS; i++) {
		struct item it = item_at(i);

		fish_item(out, &it);
	}
}
