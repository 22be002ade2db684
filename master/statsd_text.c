/* Totals as statsd's lines. SPDX-License-Identifier: MIT */
#include "master/statsd.h"

#include "common/log.h"

#include <stdio.h>

#define LINE_MAX_BYTES 900 /* of the prefix, the tags and the rest */

static void
flush(struct statsd_text *t)
{
	if (t->n > 0)
		t->on_full(t->ctx, t->p, t->n - 1); /* without the last line feed */
	t->n = 0;
}

/* what: "|c" and the like. */
static void
put(struct statsd_text *t, const char *name, double value, const char *what)
{
	char line[LINE_MAX_BYTES];
	int n = snprintf(line, sizeof(line), "%sgunicorn.%s:%.15g%s%s%s\n", t->prefix, name,
	    value, what, t->tags[0] != '\0' ? "|#" : "", t->tags);

	if (n < 0 || (size_t)n >= sizeof(line))
		return;
	if (t->n + (size_t)n > sizeof(t->p))
		flush(t);
	memcpy(t->p + t->n, line, (size_t)n);
	t->n += (size_t)n;
}

static void
put_count(struct statsd_text *t, const char *name, uint64_t before, uint64_t after)
{
	if (after > before)
		put(t, name, (double)(after - before), "|c");
}

static void
put_statuses(struct statsd_text *t, const uint64_t *before, const uint64_t *after)
{
	uint64_t sum = 0;
	char name[40];

	for (unsigned i = 0; i < SEG_CODES; i++) {
		snprintf(name, sizeof(name), "request.status.%u", SEG_CODE_FIRST + i);
		put_count(t, name, before[i], after[i]);
		sum += after[i] - MIN(before[i], after[i]);
	}
	put_count(t, "requests", 0, sum);
}

/* Of the n durations that are new, as many as are sent, from evenly spread ranks: the
 * quantiles a server makes of them are those of all, and the rate tells it the count. */
static void
put_durations(struct statsd_text *t, const uint64_t *before, const uint64_t *after)
{
	uint64_t n = 0, below = 0, samples, next = 0;
	char what[40] = "|ms";

	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		n += after[i] - MIN(before[i], after[i]);
	samples = MIN(n, (uint64_t)STATSD_SAMPLES);
	if (samples < n)
		snprintf(what, sizeof(what), "|ms|@%.6g", (double)samples / (double)n);
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		double upper = hist_upper(i), lower = i > 0 ? hist_upper(i - 1) : upper;

		below += after[i] - MIN(before[i], after[i]);
		for (; next < samples && (2 * next + 1) * n < 2 * samples * below; next++)
			put(t, "request.duration", (upper + lower) / 2000, what);
	}
}

void
statsd_write(struct statsd_text *t, struct totals_snapshot *last,
    const struct totals_snapshot *now, const struct statsd_gauges *g)
{
	static const struct {
		enum log_level level;
		const char *name;
	} levels[] = {{LOG_LVL_CRIT, "log.critical"}, {LOG_LVL_ERROR, "log.error"},
	    {LOG_LVL_WARN, "log.warning"}};

	put_statuses(t, last->tallies.codes, now->tallies.codes);
	put_durations(t, last->tallies.durations[DURATION_request].bucket,
	    now->tallies.durations[DURATION_request].bucket);
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		put_count(t, levels[i].name, last->tallies.logged[levels[i].level],
		    now->tallies.logged[levels[i].level]);
	put_count(t, "log.exception", last->sum.stats[STAT_app_errors],
	    now->sum.stats[STAT_app_errors]);
	put(t, "workers", g->workers, "|g");
	put(t, "backlog", g->backlog, "|g");
	flush(t);
	*last = *now;
}
