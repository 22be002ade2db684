/* The whole way from argv, environment and config file to a checked configuration.
 * SPDX-License-Identifier: MIT */
#include "common/conf_load.h"

#include "common/conf_check.h"
#include "common/conf_cli.h"
#include "common/conf_env.h"
#include "common/conf_file.h"
#include "common/strlist.h"

#include <stdio.h>

#define GUNICORN_ARGS "GUNICORN_CMD_ARGS"
#define GUNICORN_FILE "gunicorn.conf.py" /* read from the working directory when there */

/* The two command lines: what they say about the file is needed before their values are. */
struct sources {
	struct conf_cli cli;      /* argv */
	struct conf_cli gunicorn; /* GUNICORN_CMD_ARGS, weaker */
	struct strlist words;     /* of the latter */
	const char *file;         /* borrowed; NULL: as they say */
};

static int
parse_command_lines(struct sources *s, int argc, char **argv, struct err *e)
{
	const char *args = conf_env_get(GUNICORN_ARGS);

	if (conf_cli_parse(&s->cli, "command line", argc - 1, argv + 1, e) != 0)
		return -1;
	if (args == NULL)
		return 0;
	if (conf_env_split(args, &s->words, e) != 0)
		return err_wrap(e, GUNICORN_ARGS);
	return conf_cli_parse(&s->gunicorn, GUNICORN_ARGS, (int)s->words.n, s->words.v, e);
}

static const char *
strongest(const char *a, const char *b, const char *c)
{
	return a != NULL ? a : b != NULL ? b : c;
}

/* The interpreter for a Python config file: as near to the application's as can be told
 * before the file is read. buf is used for a path inside of a virtual environment. */
static const char *
choose_python(const struct sources *s, char *buf, size_t max)
{
	const char *const answers[][2] = {
	    {conf_cli_last(&s->cli, CONF_python), conf_cli_last(&s->cli, CONF_venv)},
	    {conf_env_get("SHOAL_PYTHON"), conf_env_get("SHOAL_VENV")},
	    {conf_cli_last(&s->gunicorn, CONF_python),
		conf_cli_last(&s->gunicorn, CONF_venv)},
	    {NULL, conf_env_get("VIRTUAL_ENV")},
	};
	const char *venv = NULL;

	for (size_t i = 0; i < ARRAY_LEN(answers) && venv == NULL; i++) {
		if (answers[i][0] != NULL)
			return answers[i][0];
		venv = answers[i][1];
	}
	if (venv == NULL)
		return "python3";
	snprintf(buf, max, "%s/bin/python3", venv);
	return buf;
}

/* Workers evaluate it again, and may have changed directory by then. */
static int
note_file(struct conf *c, const char *path, struct err *e)
{
	if (strncmp(path, "file:", 5) == 0)
		path += 5;
	c->config_file = realpath(path, NULL);
	if (c->config_file == NULL) /* read all the same: a descriptor's name in /proc */
		c->config_file = strdup(path);
	return c->config_file != NULL ? 0 : err_set(e, "out of memory");
}

static int
load_file(struct conf *c, const struct sources *s, struct strlist *notices, struct err *e)
{
	const char *path =
	    strongest(s->cli.config, conf_env_get("SHOAL_CONFIG"), s->gunicorn.config);
	char python[4096];

	if (s->file != NULL)
		path = s->file;
	if (path == NULL && access(GUNICORN_FILE, R_OK) == 0)
		path = GUNICORN_FILE;
	if (path == NULL)
		return 0;
	if (conf_file_load(c, path, choose_python(s, python, sizeof(python)), notices, e) !=
	    0)
		return -1;
	return note_file(c, path, e);
}

static int
apply_app(struct conf *c, const struct sources *s, struct err *e)
{
	const char *app = strongest(s->cli.app, conf_env_get("SHOAL_APP"), s->gunicorn.app);
	char *copy = app ? strdup(app) : NULL;

	if (app == NULL)
		return 0;
	if (copy == NULL)
		return err_set(e, "out of memory");
	free(c->app);
	c->app = copy;
	return 0;
}

static void
take_notices(struct strlist *to, const struct strlist *from)
{
	for (size_t i = 0; i < from->n; i++)
		strlist_addf(to, "%s", from->v[i]);
}

static int
load_all(struct conf *c, const struct sources *s, enum conf_what what,
    struct strlist *notices, struct err *e)
{
	take_notices(notices, &s->gunicorn.notices);
	take_notices(notices, &s->cli.notices);
	if (conf_env_defaults(c, e) != 0 || load_file(c, s, notices, e) != 0)
		return -1;
	if (conf_cli_apply(&s->gunicorn, c, e) != 0 || conf_env_apply(c, notices, e) != 0)
		return -1;
	if (conf_cli_apply(&s->cli, c, e) != 0 || apply_app(c, s, e) != 0)
		return -1;
	if (conf_check(c, notices, e) != 0)
		return -1;
	/* What is in effect can be shown for no application in particular. */
	return what == CONF_PRINT && c->app == NULL ? 0 : conf_check_app(c->app, e);
}

int
conf_load(struct conf *c, int argc, char **argv, struct conf_action *action, struct err *e)
{
	return conf_load_file(c, argc, argv, NULL, action, e);
}

int
conf_load_file(struct conf *c, int argc, char **argv, const char *file,
    struct conf_action *action, struct err *e)
{
	struct sources s = {.file = file};
	int rc;

	*action = (struct conf_action){0};
	conf_init(c);
	rc = parse_command_lines(&s, argc, argv, e);
	if (rc == 0) {
		action->what = s.cli.what != CONF_RUN ? s.cli.what : s.gunicorn.what;
		if (action->what != CONF_HELP && action->what != CONF_VERSION)
			rc = load_all(c, &s, action->what, &action->notices, e);
	}
	conf_cli_finish(&s.cli);
	conf_cli_finish(&s.gunicorn);
	strlist_finish(&s.words);
	return rc;
}

void
conf_action_finish(struct conf_action *action)
{
	if (action != NULL)
		strlist_finish(&action->notices);
}
