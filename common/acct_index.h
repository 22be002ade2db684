/* Finds rows by the hash of their key: the writer's own memory, which nobody else can lead
 * astray. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

struct acct_index {
	uint32_t mask;    /* slots - 1 */
	uint32_t shift;   /* of a hash's high half: gives its place */
	uint64_t vain_ns; /* when no row could be recycled */
	uint32_t hand;    /* where the next search for one begins */
	uint32_t *held;   /* owned; per row: how often */
	uint64_t slot[];  /* high half of the hash, row; EMPTY */
};

#define ACCT_INDEX_EMPTY UINT64_MAX

/* For at most so many rows; NULL without memory. */
struct acct_index *acct_index_create(uint32_t rows);
void acct_index_destroy(struct acct_index *x);
void acct_index_put(struct acct_index *x, uint64_t hash, uint32_t row);
/* No effect when it is not there. */
void acct_index_drop(struct acct_index *x, uint64_t hash, uint32_t row);

/* Rows that may have this hash, one after the other: *at begins as 0; UINT32_MAX: no more.
 */
static inline uint32_t
acct_index_next(const struct acct_index *x, uint64_t hash, uint32_t *at)
{
	const uint32_t place = (uint32_t)(hash >> 32) >> x->shift;

	for (;;) {
		uint64_t slot = x->slot[(place + (*at)++) & x->mask];

		if (slot == ACCT_INDEX_EMPTY)
			return UINT32_MAX;
		if (slot >> 32 == hash >> 32)
			return (uint32_t)slot;
	}
}
