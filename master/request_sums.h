/* Requests by listener, method and status, of all workers together: each combination has a
 * place among the sums, for good, so that no number ever goes backwards.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/req_table.h"

#include <jansson.h>

#define REQUEST_KEYS 1024
/* By listener those that have no place of their own, then the others. */
#define REQUEST_SUMS (REQ_TABLE_LISTENERS + REQUEST_KEYS)

/* Zeroed is a fine start. */
struct request_keys {
	uint32_t n;
	uint32_t key[REQUEST_KEYS]; /* of the place REQ_TABLE_LISTENERS + i */
};

/* What of one worker's table is in its sums. Zeroed is a fine start. */
struct request_seen {
	uint16_t place[REQ_TABLE_CELLS]; /* of each cell, + 1; 0: not seen yet */
	uint64_t n[REQ_TABLE_CELLS];
	uint64_t other[REQ_TABLE_LISTENERS];
};

/* Adds what a worker's table has grown by since the last time, as far as it adds up. */
void request_sums_look(struct request_keys *keys, struct request_seen *seen,
    const struct req_table *t, uint64_t sums[REQUEST_SUMS]);
/* What is counted at a place; false: nothing yet. */
bool request_sums_kind(
    const struct request_keys *keys, size_t place, struct req_kind *kind);

/* For the binary that takes over. New reference. */
json_t *request_sums_save(
    const struct request_keys *keys, const uint64_t sums[REQUEST_SUMS]);
void request_sums_restore(
    struct request_keys *keys, uint64_t sums[REQUEST_SUMS], const json_t *from);
