/* What the minder keeps about each worker. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

/* What a worker's life is measured by; 0: no limit. See recycle.h. */
struct recycle_limits {
	uint64_t max_requests;
	int64_t max_age_ms, max_rss;
};

struct minded {
	struct recycle_limits limits;
	bool drawn; /* the limits were */
	bool hung;  /* its heartbeat is lost; it was asked for its stacks, and then ends */
	int64_t rss_bytes, rss_at_ms; /* 0: not yet read */
};
