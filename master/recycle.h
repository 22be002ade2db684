/* Whether a worker has lived long enough: by requests, age or memory, with a jitter drawn
 * once per worker so that not all go at the same moment. Pure.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"
#include "master/minded.h"
#include "master/proc.h"

/* `random`: two independent numbers. */
void recycle_draw(
    struct recycle_limits *l, const struct conf *c, uint64_t random_1, uint64_t random_2);
/* PROC_MAX_REQUESTS, PROC_MAX_AGE, PROC_MAX_RSS; PROC_REASONS: not yet. */
enum proc_reason recycle_due(
    const struct recycle_limits *l, uint64_t requests, int64_t age_ms, int64_t rss_bytes);
