/* Whether an access-log format is one the workers can compile.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

/* combined, eventlet, json, json-acked, or a text with %(atom)s. -1: what was expected. */
NODISCARD int conf_logformat_check(const char *format, struct err *e);
