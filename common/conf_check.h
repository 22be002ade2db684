/* What only the whole configuration can tell: options that need or exclude each other.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

/*
 * Checks and completes: the default bind address, 0 for "no limit" of sizes the protocol
 * bounds, absolute paths of TLS files (workers change directory). Reads no file's content.
 * -1: as for conf_set.h, one line.
 */
NODISCARD int conf_check(struct conf *c, struct strlist *notices, struct err *e);
/* APP (NULL: missing) as far as it can be told without Python: MODULE[:ATTR],
 * MODULE:FACTORY(...), PATH/FILE.py[:ATTR]. */
NODISCARD int conf_check_app(const char *app, struct err *e);
