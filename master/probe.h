/* Asks an interpreter what it is. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <jansson.h>

struct privs;

/* The interpreter's answer (new reference), or NULL with its last words in `e`:
 * {"executable", "implementation", "major", "minor", "version", "abi": "" | "d" | "t",
 *  "static": true when the executable contains Python, "libpython": path or ""} */
NODISCARD json_t *probe_run(const char *python, const struct privs *privs, char **env,
    int timeout_ms, struct err *e);
