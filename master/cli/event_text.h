/* An event in one line, for people. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <jansson.h>

/* Its data as "slot=3 pid=9001 cause=..." in buf; not yet escaped. Long texts (stacks) are
 * left out. */
const char *event_details(const json_t *data, char *buf, size_t max);
