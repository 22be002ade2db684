/* The application's own metrics on /metrics. Pure. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <jansson.h>
#include <stdio.h>

/* doc: the answer of metrics.get, or NULL. Names stay as the application gave them. */
void metrics_own_put(FILE *f, json_t *doc, bool open_metrics);
