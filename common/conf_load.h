/* The whole way from argv, environment and config file to a checked configuration.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

/* What the command line asks for. */
enum conf_what {
	CONF_RUN,
	CONF_CHECK,   /* --check-config: validate, load APP, say so, exit */
	CONF_PRINT,   /* --print-config: conf_help_config(), exit 0 */
	CONF_HELP,    /* -h: conf_help_usage(), exit 0; the configuration is not read */
	CONF_VERSION, /* -v: conf_help_version(), exit 0; the configuration is not read */
};

struct conf_action {
	enum conf_what what;
	struct strlist notices; /* owned; sentences to log once, as warnings */
};

/*
 * Defaults < config file < environment < command line, then checked as a whole.
 * `c` is initialised here and the caller's to conf_finish(), also after a failure; the
 * same goes for `action` and conf_action_finish(). -1: the operator's mistake, one line in
 * `e` that names option, value, origin and what was expected; exit code 2.
 * May start an interpreter process to evaluate a gunicorn.conf.py, and waits for it.
 */
NODISCARD int conf_load(
    struct conf *c, int argc, char **argv, struct conf_action *action, struct err *e);
/* The same with `file` (NULL: none) instead of the one --config names. */
NODISCARD int conf_load_file(struct conf *c, int argc, char **argv, const char *file,
    struct conf_action *action, struct err *e);
void conf_action_finish(struct conf_action *action);
