/* Times as people write them, in UTC. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

/* "2026-11", "2026-11-21", "2026-11-21T08:30[:00][Z|+01:00]" or Unix seconds. */
NODISCARD int when_parse(const char *text, int64_t *unix_s);
/* The first second of the UTC month, day or hour that t is in; of the next one. */
enum when_unit { WHEN_HOUR, WHEN_DAY, WHEN_MONTH };
int64_t when_floor(int64_t t, enum when_unit unit);
int64_t when_next(int64_t t, enum when_unit unit);
