/* What goes from shared memory into the ledger. SPDX-License-Identifier: MIT */
#pragma once

#include "common/acct.h"

#define SEGMENT_ID_LEN 16
#define LEDGER_BUCKET_S 60

/* One row of one segment's life in shared memory. */
struct row_id {
	uint8_t seg[SEGMENT_ID_LEN];
	uint32_t row, epoch;
};

/* What a row has counted since it was last looked at. All of a row's records with one lot
 * are one record: their id is unique for ever. */
struct record {
	struct row_id id;
	uint64_t lot;
	int64_t bucket; /* Unix seconds, a multiple of LEDGER_BUCKET_S */
	bool late; /* counted while no ledger ran: the bucket is that of its discovery */
	char account[ACCT_KEY_MAX + 1];
	int64_t delta[ACCT_COLUMNS];
};
