/* A command line taken apart: long and short options, aliases, and where APP stands.
 * SPDX-License-Identifier: MIT */
#include "common/conf_cli.h"

#include "common/conf_compat.h"
#include "common/conf_option.h"
#include "common/conf_set.h"
#include "common/strlist.h"

struct args {
	char **v;
	int n, i; /* i: the next one to look at */
};

const struct conf_cli_extra conf_cli_extras[CONF_CLI_EXTRAS] = {
    {'c', "config", "FILE", "read settings from FILE: JSON, or a gunicorn.conf.py",
	CONF_RUN},
    {0, "check-config", NULL, "check the configuration and load APP, then exit",
	CONF_CHECK},
    {0, "print-config", NULL, "print every option with its value and origin, then exit",
	CONF_PRINT},
    {'h', "help", NULL, "show all options", CONF_HELP},
    {'v', "version", NULL, "show the versions of shoal and its libraries", CONF_VERSION},
};

/* What an option's name on the command line stands for. */
struct target {
	enum { IS_OPTION, IS_NEGATED, IS_CONFIG, IS_ACTION, IS_COMPAT, IS_UNKNOWN } kind;
	enum conf_id id;
	enum conf_what what;
	const struct compat *compat;
};

static int
add_setting(struct conf_cli *cli, enum conf_id id, const char *text, struct err *e)
{
	struct conf_cli_setting *s =
	    realloc(cli->settings, (cli->n_settings + 1) * sizeof(*cli->settings));

	if (s == NULL)
		return err_set(e, "out of memory");
	cli->settings = s;
	s[cli->n_settings++] = (struct conf_cli_setting){id, text};
	return 0;
}

static bool
is_bool(enum conf_id id)
{
	return id != CONF_COUNT && conf_options[id].type == CONF_T_BOOL;
}

/* --preload: a switch that can also be given a word. */
static bool
is_optional(enum conf_id id)
{
	char buf[CONF_KEY_MAX];

	return id != CONF_COUNT && conf_option_bare_word(id, buf) != NULL;
}

static struct target
extra_target(const struct conf_cli_extra *x)
{
	return (struct target){
	    .kind = x->what == CONF_RUN ? IS_CONFIG : IS_ACTION, .what = x->what};
}

static struct target
resolve_long(struct str name)
{
	struct target t = {.kind = IS_OPTION, .id = conf_option_find(name)};

	if (t.id != CONF_COUNT)
		return t;
	for (size_t i = 0; i < CONF_CLI_EXTRAS; i++)
		if (str_eq(str_of(conf_cli_extras[i].name), name))
			return extra_target(&conf_cli_extras[i]);
	t.compat = conf_compat_find(name);
	if (t.compat != NULL && t.compat->kind == COMPAT_ALIAS)
		return (struct target){
		    .kind = IS_OPTION, .id = t.compat->id, .compat = t.compat};
	if (t.compat != NULL)
		return (struct target){.kind = IS_COMPAT, .compat = t.compat};
	if (name.n > 3 && strncmp(name.p, "no-", 3) == 0) {
		t.id = conf_option_find((struct str){name.p + 3, name.n - 3});
		if (is_bool(t.id) || is_optional(t.id))
			return (struct target){.kind = IS_NEGATED, .id = t.id};
	}
	return (struct target){.kind = IS_UNKNOWN};
}

static struct target
resolve_short(char letter)
{
	struct target t = {.kind = IS_OPTION, .id = conf_option_find_letter(letter)};

	if (t.id != CONF_COUNT)
		return t;
	for (size_t i = 0; i < CONF_CLI_EXTRAS; i++)
		if (conf_cli_extras[i].letter == letter)
			return extra_target(&conf_cli_extras[i]);
	t.compat = conf_compat_find_letter(letter);
	return (struct target){
	    .kind = t.compat ? IS_COMPAT : IS_UNKNOWN, .compat = t.compat};
}

static bool
target_takes_value(const struct target *t)
{
	switch (t->kind) {
	case IS_OPTION:
		return !is_bool(t->id) && !is_optional(t->id);
	case IS_CONFIG:
		return true;
	case IS_COMPAT:
		return t->compat->takes_value;
	default:
		return false;
	}
}

static int
use_compat(struct conf_cli *cli, const struct compat *k, const char *value, struct err *e)
{
	if (k->kind == COMPAT_REFUSE)
		return err_set(e, "--%s (%s): %s", k->name, cli->origin, k->sentence);
	if (k->only != NULL && !conf_option_has_word(str_of(k->only), value))
		return err_set(e, "--%s \"%s\" (%s): only %s is supported in this version",
		    k->name, value, cli->origin, k->only);
	if (k->kind == COMPAT_IGNORE)
		strlist_addf(&cli->notices, "--%s%s%s (%s): %s", k->name, value ? " " : "",
		    value ? value : "", cli->origin, k->sentence);
	return 0;
}

/* An option's text is borrowed from argv; what is made here is kept by `cli`. */
static const char *
keep_text(struct conf_cli *cli, const char *text, const char *unit)
{
	size_t before = cli->made.n;

	strlist_addf(&cli->made, "%s%s", text, unit);
	return cli->made.n > before ? cli->made.v[before] : NULL;
}

static int
use_option(struct conf_cli *cli, const struct target *t, const char *value, struct err *e)
{
	const struct compat *alias = t->compat;
	const char *text = value != NULL ? conf_compat_word(t->id, value) : "true";

	if (alias != NULL && alias->unit != NULL && value != NULL &&
	    strspn(value, "0123456789") == strlen(value)) {
		text = keep_text(cli, value, alias->unit);
		if (text == NULL)
			return err_set(e, "out of memory");
		strlist_addf(&cli->notices, "--%s %s (%s): taken as --%s %s: %s",
		    alias->name, value, cli->origin, conf_options[t->id].name, text,
		    alias->sentence);
	}
	return add_setting(cli, t->id, text, e);
}

static int
use_target(struct conf_cli *cli, const struct target *t, const char *value, struct err *e)
{
	switch (t->kind) {
	case IS_OPTION:
		return use_option(cli, t, value, e);
	case IS_NEGATED:
		return add_setting(cli, t->id, "false", e);
	case IS_CONFIG:
		cli->config = value;
		return 0;
	case IS_ACTION:
		cli->what = t->what;
		return 0;
	default:
		return use_compat(cli, t->compat, value, e);
	}
}

static const char *
next_value(struct args *a)
{
	if (a->i >= a->n || (strncmp(a->v[a->i], "--", 2) == 0 && a->v[a->i][2] != '\0'))
		return NULL;
	return a->v[a->i++];
}

static int
unknown_long(const struct conf_cli *cli, struct str name, struct err *e)
{
	const char *near = conf_compat_nearest(name, false);

	if (near != NULL)
		return err_set(e, "unknown option --%.*s (%s); did you mean --%s?",
		    (int)name.n, name.p, cli->origin, near);
	return err_set(e, "unknown option --%.*s (%s); --help lists them all", (int)name.n,
	    name.p, cli->origin);
}

/* --name, --name=value, --name value, --no-name. */
static int
parse_long(struct conf_cli *cli, const char *arg, struct args *a, struct err *e)
{
	const char *eq = strchr(arg, '=');
	struct str name = {arg, eq ? (size_t)(eq - arg) : strlen(arg)};
	struct target t = resolve_long(name);
	const char *value = eq ? eq + 1 : NULL;

	if (t.kind == IS_UNKNOWN)
		return unknown_long(cli, name, e);
	/* A refusal says more than a complaint about its value would. */
	if (t.kind == IS_COMPAT && t.compat->kind == COMPAT_REFUSE)
		return use_compat(cli, t.compat, value, e);
	if (value == NULL && target_takes_value(&t) && (value = next_value(a)) == NULL)
		return err_set(
		    e, "--%.*s (%s): a value is missing", (int)name.n, name.p, cli->origin);
	if (eq != NULL && !target_takes_value(&t) && t.kind != IS_OPTION)
		return err_set(e, "--%.*s \"%s\" (%s): expected no value", (int)name.n,
		    name.p, value, cli->origin);
	return use_target(cli, &t, value, e);
}

/* -w4, -w 4, -w=4, and bundles of options without value: -Dw4. */
static int
parse_short(struct conf_cli *cli, const char *arg, struct args *a, struct err *e)
{
	for (; *arg != '\0'; arg++) {
		struct target t = resolve_short(*arg);
		const char *value = NULL;

		if (t.kind == IS_UNKNOWN)
			return err_set(e, "unknown option -%c (%s); --help lists them all",
			    *arg, cli->origin);
		if (!target_takes_value(&t)) {
			if (use_target(cli, &t, NULL, e) != 0)
				return -1;
			continue;
		}
		if (arg[1] != '\0')
			value = arg[1] == '=' ? arg + 2 : arg + 1;
		else if ((value = next_value(a)) == NULL)
			return err_set(
			    e, "-%c (%s): a value is missing", *arg, cli->origin);
		return use_target(cli, &t, value, e);
	}
	return 0;
}

static int
parse_app(struct conf_cli *cli, const char *arg, struct err *e)
{
	if (cli->app != NULL)
		return err_set(e, "unexpected argument \"%s\" (%s): APP is already \"%s\"",
		    arg, cli->origin, cli->app);
	cli->app = arg;
	return 0;
}

int
conf_cli_parse(
    struct conf_cli *cli, const char *origin, int argc, char **argv, struct err *e)
{
	struct args a = {.v = argv, .n = argc};
	bool options = true;

	*cli = (struct conf_cli){.origin = origin};
	while (a.i < a.n && cli->what != CONF_HELP && cli->what != CONF_VERSION) {
		const char *arg = a.v[a.i++];
		int rc;

		if (!options || arg[0] != '-' || arg[1] == '\0')
			rc = parse_app(cli, arg, e);
		else if (arg[1] != '-')
			rc = parse_short(cli, arg + 1, &a, e);
		else if (arg[2] != '\0')
			rc = parse_long(cli, arg + 2, &a, e);
		else
			rc = options = false;
		if (rc != 0)
			return -1;
	}
	return 0;
}

int
conf_cli_apply(const struct conf_cli *cli, struct conf *c, struct err *e)
{
	struct conf_source src = {.origin = cli->origin};

	for (size_t i = 0; i < cli->n_settings; i++)
		if (conf_set_text(c, cli->settings[i].id, cli->settings[i].text, &src, e) !=
		    0)
			return -1;
	return 0;
}

const char *
conf_cli_last(const struct conf_cli *cli, enum conf_id id)
{
	const char *text = NULL;

	for (size_t i = 0; i < cli->n_settings; i++)
		if (cli->settings[i].id == id)
			text = cli->settings[i].text;
	return text;
}

void
conf_cli_finish(struct conf_cli *cli)
{
	free(cli->settings);
	strlist_finish(&cli->notices);
	strlist_finish(&cli->made);
	*cli = (struct conf_cli){0};
}
