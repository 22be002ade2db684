/* Steps of writing one row, for its writer and for who completes its work.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/acct.h"

/* When a process began, in clock ticks since boot: field 22 of its stat; 0 is the caller.
 * 0: it cannot be told. */
uint64_t acct_process_start(int32_t pid);

/* redo.state */
enum {
	REDO_NONE,
	REDO_COMMIT, /* value[] of the row become these */
	REDO_ASSIGN, /* the row is being given away; value[0] is its new epoch */
};

static inline void
set(_Atomic uint64_t *at, uint64_t v)
{
	atomic_store_explicit(at, v, memory_order_release);
}

static inline uint64_t
get(const _Atomic uint64_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed);
}

/* Odd from here on, also when it was already: a writer may have died in the middle. */
static inline void
row_open(struct acct_row *r)
{
	set(&r->seq, get(&r->seq) | 1);
}

static inline void
row_close(struct acct_row *r)
{
	set(&r->seq, (get(&r->seq) | 1) + 1);
}
