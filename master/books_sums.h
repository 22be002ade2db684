/* What ledgers have counted of their own work, those that are gone included, and how the
 * last one was when it spoke last. SPDX-License-Identifier: MIT */
#pragma once

#include "common/ledger_counts.h"

struct books_sums {
	struct ledger_counts gone, now; /* of ledgers before; of the present one */
	double complete_until;          /* Unix time: all before it is written */
	json_int_t database_bytes, outbox_records, disk_free_bytes;
};

/* Another ledger begins at 0. */
void books_sums_begin(struct books_sums *s);
/* A notification of the ledger's. */
void books_sums_take(struct books_sums *s, const json_t *said);
/* For the binary that takes over, and back. */
json_t *books_sums_save(const struct books_sums *s);
void books_sums_restore(struct books_sums *s, const json_t *from);
