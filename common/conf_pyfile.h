/* Settings from a gunicorn.conf.py, evaluated in an interpreter process of its own.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

#define CONF_PYFILE_TIMEOUT_MS 30000

/*
 * Runs `python` on the file and applies the settings that map to options. gunicorn's
 * settings without an option, server hooks and names nobody knows are noticed in one line
 * each; a name that is nearly a setting's is an error. What the file prints goes to
 * standard error, and so does its traceback.
 */
NODISCARD int conf_pyfile_load(struct conf *c, const char *path, const char *python,
    struct strlist *notices, struct err *e);
