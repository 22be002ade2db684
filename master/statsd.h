/* What gunicorn tells a statsd server, under its names, once a second.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/totals.h"

#define STATSD_SAMPLES 200 /* durations a second; beyond it, evenly chosen ones */
#define STATSD_DATAGRAM 1400

struct master;
struct statsd;

/* The lines of one second. */
struct statsd_text {
	const char *prefix, *tags; /* "" or with its dot; "" or without the |# */
	void (*on_full)(void *ctx, const char *p, size_t n);
	void *ctx;
	size_t n;
	char p[STATSD_DATAGRAM];
};

/* What the totals do not say. */
struct statsd_gauges {
	unsigned workers, backlog;
};

/* What grew from `last` to `now`; last becomes now. Pure, but for on_full. */
void statsd_write(struct statsd_text *t, struct totals_snapshot *last,
    const struct totals_snapshot *now, const struct statsd_gauges *g);

/* NULL in *s and 0: there is no --statsd-host. */
NODISCARD int statsd_open(struct statsd **s, struct master *m, struct err *e);
/* After the last worker: sends what was counted until then. */
void statsd_close(struct statsd *s);
/* Once a second. s may be NULL. Never waits: what the kernel does not take is lost. */
void statsd_send(struct statsd *s, const struct totals_snapshot *now);
