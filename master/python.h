/* Which Python the workers run, and how. SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

struct privs;

struct python {
	char executable[1024]; /* absolute; a venv's symlink stays one */
	char plugin[1024];     /* absolute */
	char libpython[1024];  /* absolute; "" when the worker runs inside the executable */
	char version[64];      /* "3.11.2" */
};

/*
 * Chooses (--python, --venv, $VIRTUAL_ENV, python3 on PATH), asks that interpreter what it
 * is, with the workers' rights and environment, and finds the plugin for it in
 * BIN_DIR/../lib/shoal. Takes the time of one interpreter start, at most PYTHON_PROBE_MS.
 * `e` says what was wrong and which versions there are plugins for.
 */
#define PYTHON_PROBE_MS 10000
NODISCARD int python_choose(struct python *py, const struct conf *c, const char *bin_dir,
    const struct privs *privs, char **env, struct err *e);
