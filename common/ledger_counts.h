/* Counters of a ledger's life, and how they reach the master. SPDX-License-Identifier: MIT
 */
#pragma once

#include "common/hist.h"

#include <jansson.h>

/* The notification that carries them, beside gauges of the moment. */
#define LEDGER_COUNTS_EVENT "counts"

enum ledger_count {
#define LEDGER_COUNT(name) LEDGER_##name,
#include "common/ledger_counts.def"
#undef LEDGER_COUNT
	LEDGER_COUNTS
};

struct ledger_counts {
	uint64_t count[LEDGER_COUNTS];
	uint64_t classes[HIST_CLASSES]; /* how long flushes took that wrote something */
};

/* {"name":N, .., "classes":[..]}: a new reference. */
json_t *ledger_counts_to_json(const struct ledger_counts *c);
/* What is there and larger than before. */
void ledger_counts_read(struct ledger_counts *c, const json_t *from);
void ledger_counts_add(struct ledger_counts *to, const struct ledger_counts *from);
