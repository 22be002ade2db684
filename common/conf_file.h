/* Settings from a file: JSON here, a gunicorn.conf.py through conf_pyfile.h.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

#define CONF_FILE_MAX (1024 * 1024)

/* Applies the file `path`; names that end in .py are evaluated by `python` (a path, or a
 * name looked up in PATH). Origins read "shop.json:3:14". */
NODISCARD int conf_file_load(struct conf *c, const char *path, const char *python,
    struct strlist *notices, struct err *e);
/* The JSON text of a config file; `name` is for origins and messages. */
NODISCARD int conf_file_apply_json(
    struct conf *c, const char *name, struct str text, struct err *e);
