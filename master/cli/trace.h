/* The reply of workers.trace as text, like a traceback. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <jansson.h>

/* Lines, not yet escaped. free() it; NULL without memory. */
char *trace_text(const json_t *reply);
