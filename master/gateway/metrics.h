/* GET /metrics: the names of metrics.def in Prometheus' text format or OpenMetrics.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/gateway/http.h"

struct metrics;

/* NULL: no memory. */
struct metrics *metrics_create(void);
void metrics_destroy(struct metrics *m);
void metrics_run(struct http *h);
