/* Open addressing with the next free place; at most half full, so a walk is short.
 * SPDX-License-Identifier: MIT */
#include "common/acct_index.h"

struct acct_index *
acct_index_create(uint32_t rows)
{
	struct acct_index *x;
	uint32_t bits = 5;

	while (1ull << bits < 2ull * rows)
		bits++;
	x = malloc(sizeof(*x) + sizeof(x->slot[0]) * (1ull << bits));
	if (x == NULL)
		return NULL;
	*x = (struct acct_index){.mask = (1u << bits) - 1, .shift = 32 - bits};
	memset(x->slot, 0xff, sizeof(x->slot[0]) * (1ull << bits));
	x->held = calloc(rows, sizeof(x->held[0]));
	if (x->held == NULL) {
		free(x);
		return NULL;
	}
	return x;
}

void
acct_index_destroy(struct acct_index *x)
{
	if (x != NULL)
		free(x->held);
	free(x);
}

static uint64_t
slot_of(uint64_t hash, uint32_t row)
{
	return (hash & 0xffffffff00000000) | row;
}

/* Where it would be if it were alone. */
static uint32_t
place_of(const struct acct_index *x, uint64_t slot)
{
	return (uint32_t)(slot >> 32) >> x->shift;
}

void
acct_index_put(struct acct_index *x, uint64_t hash, uint32_t row)
{
	uint32_t i = place_of(x, hash);

	while (x->slot[i] != ACCT_INDEX_EMPTY)
		i = (i + 1) & x->mask;
	x->slot[i] = slot_of(hash, row);
}

void
acct_index_drop(struct acct_index *x, uint64_t hash, uint32_t row)
{
	const uint64_t wanted = slot_of(hash, row);
	uint32_t gap = place_of(x, hash), i;

	while (x->slot[gap] != wanted) {
		if (x->slot[gap] == ACCT_INDEX_EMPTY)
			return;
		gap = (gap + 1) & x->mask;
	}
	/* What follows moves up unless it is already as near to its place as can be. */
	for (i = (gap + 1) & x->mask; x->slot[i] != ACCT_INDEX_EMPTY;
	     i = (i + 1) & x->mask) {
		uint32_t away = (i - place_of(x, x->slot[i])) & x->mask;

		if (away >= ((i - gap) & x->mask)) {
			x->slot[gap] = x->slot[i];
			gap = i;
		}
	}
	x->slot[gap] = ACCT_INDEX_EMPTY;
}
