/* Parts of answers that say how the instance is: totals, rates, workers, alerts. All return
 * new references. SPDX-License-Identifier: MIT */
#pragma once

#include "common/seg.h"
#include "master/totals.h"

#include <jansson.h>

struct master;
struct proc;
struct slot;

/* {"requests","bytes_in","bytes_out","errors_5xx", ...}: the few of server.status. */
json_t *facts_totals(struct master *m);
/* {"requests","bytes_in","bytes_out","errors_5xx"} per second. */
json_t *facts_rates_10s(const struct master *m);
/* ["worker 3: 5 short lives in a row, signal=SIGSEGV", ...]: what somebody should look at.
 */
json_t *facts_alerts(const struct master *m);
/* Seconds since a worker's I/O thread was last seen alive; null: not yet. p may be NULL. */
json_t *facts_heartbeat_age(const struct proc *p);
/* Slots that should have a worker and have none. */
unsigned facts_missing(const struct master *m);
/* {"fields","series"}: what counters and the points of the history mean. */
json_t *facts_stats_schema(void);
/* What the I/O threads count by labels, their gauges, the kernel's and the certificates. */
json_t *facts_net(const struct master *m, const struct totals_snapshot *snapshot);
/* Every counter by its name; quoted when `as_text`. */
json_t *facts_counts(const uint64_t stats[STAT_COUNT], bool as_text);
json_t *facts_number(uint64_t n, bool as_text);
/* Durations: all there were, and those the quantiles are of. */
struct facts_durations {
	const uint64_t *counts, *window; /* HIST_BUCKETS; borrowed */
	uint64_t sum_us;                 /* of counts */
	double window_s;
};
json_t *facts_latency_of(const struct facts_durations *d, bool as_text);
/* Of the last minute; count and sum of all times. */
json_t *facts_latency(
    const struct master *m, const struct totals_snapshot *snapshot, bool as_text);
/* {"rows":[{"worker","rows","rows_limit"}],"ledger"}: tables of accounts, and the ledger's
 * own counts (null: there is none). Asks nobody. accounts: with commas, those whose quotas
 * may be seen; NULL: all. */
json_t *facts_accounting(const struct master *m, const char *accounts);
/* {"bounds_s","counts"}: by the fixed boundaries of common/hist.h. */
json_t *facts_classes(const uint64_t classes[HIST_CLASSES]);
