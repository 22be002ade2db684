/* Requests in flight, read from a worker's segment: copied first, then checked, because the
 * worker may write while it is read, and anything. SPDX-License-Identifier: MIT */
#pragma once

#include "common/seg.h"

#include <jansson.h>

struct inflight {
	uint32_t state; /* INFLIGHT_QUEUED and above */
	uint64_t serial;
	bool told; /* bytes and account of `bytes` are this request's */
	int64_t age_us;
	struct addr peer;
	struct str method, path; /* of `bytes`; hostile */
	struct seg_inflight bytes;
};

/* CLOCK_MONOTONIC. */
uint64_t inflight_now_ns(void);
/* The request in an entry; false: there is none, or it ended while it was read. */
bool inflight_read(
    const struct seg *s, size_t entry, uint64_t now_ns, struct inflight *out);
/* "application": the log's word for its state. */
const char *inflight_stage(const struct inflight *f);
/* {"id":"w0e3-5512","worker":0,"age_s","phase","method","path","client","account","bytes_in",
 * "bytes_out"}; never a query. New reference. */
json_t *inflight_to_json(const struct inflight *f, unsigned slot, unsigned epoch);
