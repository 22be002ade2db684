/* What the configuration prints: --help, --version, --print-config.
 * SPDX-License-Identifier: MIT */
#include "common/conf_help.h"

#include "common/conf_cli.h"
#include "common/conf_option.h"

#define WIDTH 80
#define INDENT 28 /* where the help texts begin */

static const char usage[] = "usage: shoal [OPTIONS] APP\n";

/* Breaks at spaces; the first line goes on at `column`. */
static void
print_wrapped(FILE *out, const char *text, size_t column)
{
	while (*text != '\0') {
		size_t n = strcspn(text, " ");

		if (column + 1 + n > WIDTH && column > INDENT) {
			fprintf(out, "\n%*s", INDENT, "");
			column = INDENT;
		} else if (column > INDENT) {
			fputc(' ', out);
			column++;
		}
		fwrite(text, 1, n, out);
		column += n;
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void
print_option(FILE *out, char letter, const char *name, const char *arg, const char *help)
{
	char left[128];
	int n;

	if (letter != 0)
		n = snprintf(left, sizeof(left), "  -%c, --%s", letter, name);
	else
		n = snprintf(left, sizeof(left), "      --%s", name);
	if (arg != NULL)
		n += snprintf(left + n, sizeof(left) - (size_t)n, "%s%s",
		    arg[0] == '[' ? "" : " ", arg);
	fputs(left, out);
	if (n >= INDENT)
		fprintf(out, "\n%*s", INDENT, "");
	else
		fprintf(out, "%*s", INDENT - n, "");
	print_wrapped(out, help, INDENT);
}

/* A switch that is on is turned off: that is what the reader needs. */
static void
print_conf_option(FILE *out, enum conf_id id)
{
	const struct conf_option *o = &conf_options[id];
	bool on = o->type == CONF_T_BOOL && o->def_num != 0;
	char name[CONF_KEY_MAX], help[256], buf[CONF_KEY_MAX];
	const char *dflt = o->type == CONF_T_BOOL ? "" : conf_option_default(id, buf);

	snprintf(name, sizeof(name), "%s%s", on ? "no-" : "", o->name);
	snprintf(help, sizeof(help), "%s%s%s%s%s", on ? "do not " : "", o->help,
	    *dflt ? " [" : "", dflt, *dflt ? "]" : "");
	print_option(out, o->letter, name, o->arg, help);
}

void
conf_help_usage(FILE *out)
{
	fputs(usage, out);
	fputs("Serves the WSGI application APP: MODULE:NAME or FILE.py:NAME. [] hold "
	      "defaults.\n",
	    out);
	for (unsigned g = 0; g < CONF_G_COUNT; g++) {
		fprintf(out, "\n%s:\n", conf_group_titles[g]);
		for (unsigned i = 0; i < CONF_COUNT; i++)
			if (conf_options[i].group == g)
				print_conf_option(out, (enum conf_id)i);
	}
	fputs("\nOther:\n", out);
	for (size_t i = 0; i < CONF_CLI_EXTRAS; i++) {
		const struct conf_cli_extra *x = &conf_cli_extras[i];

		print_option(out, x->letter, x->name, x->arg, x->help);
	}
	fputs(
	    "\nDurations: 30, 0.5, 30s, 1h30m. Sizes: 65536, 64k, 1MiB. Switches: --no-X.\n"
	    "Any option can be set as SHOAL_NAME=VALUE, or \"name\" in FILE "
	    "(shoal.conf(5)).\n",
	    out);
}

void
conf_help_hint(FILE *out)
{
	fputs(usage, out);
	fputs("       shoal --help lists the options\n", out);
}

void
conf_help_version(FILE *out, const char *libevent)
{
	fprintf(out, "shoal %s\nlibevent %s\njansson %s\n", SHOAL_VERSION, libevent,
	    jansson_version_str());
}

void
conf_help_config(FILE *out, const struct conf *c)
{
	json_t *all = conf_to_json(c);
	char key[CONF_KEY_MAX];

	fprintf(out, "app = %s\n", c->app ? c->app : "");
	for (unsigned g = 0; g < CONF_G_COUNT; g++) {
		fprintf(out, "\n# %s\n", conf_group_titles[g]);
		for (unsigned i = 0; i < CONF_COUNT; i++) {
			char *text;

			if (conf_options[i].group != g)
				continue;
			conf_option_key((enum conf_id)i, key);
			text = json_dumps(json_object_get(all, key), JSON_ENCODE_ANY);
			fprintf(out, "%s = %s   # %s\n", key, text ? text : "?",
			    c->origin[i] ? c->origin[i] : "default");
			free(text);
		}
	}
	json_decref(all);
}
