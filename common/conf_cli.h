/* A command line taken apart: argv and GUNICORN_CMD_ARGS.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf_load.h"

/* An option that steers the program and is no part of the configuration. */
struct conf_cli_extra {
	char letter;
	const char *name, *arg, *help;
	enum conf_what what; /* CONF_RUN: --config */
};

#define CONF_CLI_EXTRAS 5
extern const struct conf_cli_extra conf_cli_extras[CONF_CLI_EXTRAS];

struct conf_cli_setting {
	enum conf_id id;
	const char *text; /* borrowed: argv, conf_cli.made, or a literal */
};

struct conf_cli {
	const char *origin;                /* borrowed; for messages and conf.origin */
	struct conf_cli_setting *settings; /* owned; in the order written */
	size_t n_settings;
	const char *app;    /* borrowed; NULL: not given */
	const char *config; /* borrowed; -c */
	enum conf_what what;
	struct strlist notices; /* owned */
	struct strlist made;    /* owned; values that are not as written */
};

/* Reads the arguments behind the program's name; argv must outlive the result. Stops at
 * -h and -v. Values are not looked at: conf_cli_apply does that, when it is their turn. */
NODISCARD int conf_cli_parse(
    struct conf_cli *cli, const char *origin, int argc, char **argv, struct err *e);
NODISCARD int conf_cli_apply(const struct conf_cli *cli, struct conf *c, struct err *e);
/* The last value written for an option, NULL when it was not. */
const char *conf_cli_last(const struct conf_cli *cli, enum conf_id id);
void conf_cli_finish(struct conf_cli *cli);
