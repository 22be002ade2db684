/* What the figures were: an hour by the second, a day by ten seconds. Fed once a second by
 * the master, so that who looks after the incident sees the incident.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/procfs.h"
#include "master/totals.h"

#define HISTORY_FINE 3600   /* cells of a second */
#define HISTORY_COARSE 8640 /* cells of ten */
#define HISTORY_COARSE_S 10
#define HISTORY_WINDOW_S 60 /* of the latency in stats.get */

/* SERIES(ident, unit, "what a point is") */
#define HISTORY_SERIES(SERIES)                                                             \
	SERIES(rps, "1/s", "requests")                                                     \
	SERIES(bytes_in, "bytes/s", "received from clients, all kinds")                    \
	SERIES(bytes_out, "bytes/s", "sent to clients, all kinds")                         \
	SERIES(bytes_out_body, "bytes/s", "of these, bodies of answers")                   \
	SERIES(bytes_out_tls, "bytes/s", "of these, TLS beyond the plain text")            \
	SERIES(bytes_undelivered, "bytes/s", "of these, what clients never acknowledged")  \
	SERIES(nic_in, "bytes/s", "received by all network cards of the machine")          \
	SERIES(nic_out, "bytes/s", "sent by all network cards of the machine")             \
	SERIES(errors_4xx, "1/s", "answers of status 400-499")                             \
	SERIES(errors_5xx, "1/s", "answers of status 500-599")                             \
	SERIES(aborted, "1/s", "answers that did not reach their end")                     \
	SERIES(rejected, "1/s", "requests refused before the application")                 \
	SERIES(timeouts, "1/s", "requests or connections that timed out")                  \
	SERIES(app_errors, "1/s", "exceptions that left the application")                  \
	SERIES(accepted, "1/s", "connections accepted")                                    \
	SERIES(connections, "1", "open connections")                                       \
	SERIES(in_flight, "1", "requests begun and not finished")                          \
	SERIES(queued, "1", "requests waiting for an application thread")                  \
	SERIES(workers_ready, "1", "workers that accept")                                  \
	SERIES(workers_busy, "1", "workers with requests in flight")                       \
	SERIES(rss_bytes, "bytes", "resident memory of all workers")                       \
	SERIES(p50_us, "us", "median request duration")                                    \
	SERIES(p90_us, "us", "90 % of requests took at most this")                         \
	SERIES(p99_us, "us", "99 % of requests took at most this")                         \
	SERIES(p999_us, "us", "99.9 % of requests took at most this")

enum history_series {
#define SERIES(ident, unit, text) HISTORY_##ident,
	HISTORY_SERIES(SERIES)
#undef SERIES
	    HISTORY_SERIES_COUNT
};

struct history_line {
	const char *name, *unit, *help;
};

extern const struct history_line history_lines[HISTORY_SERIES_COUNT];

/* What the segments don't say. */
struct history_gauges {
	unsigned workers_ready, workers_busy;
	uint64_t rss_bytes;
	struct procfs_nic nic;
};

struct history_mark {
	int64_t ms;
	struct totals_counts counts;
	struct procfs_nic nic;
};

struct history {
	/* NAN: not known. Cell c of a ring lies at c % its length. */
	float fine[HISTORY_SERIES_COUNT][HISTORY_FINE];
	float coarse[HISTORY_SERIES_COUNT][HISTORY_COARSE];
	int64_t fine_first, fine_end;     /* seconds of the clock in the ring */
	int64_t coarse_first, coarse_end; /* tens of seconds */
	struct history_mark marks[HISTORY_WINDOW_S + 1];
	size_t n_marks, newest; /* of marks */
};

/* About 1.2 MB, touched as it fills. NULL: no memory. */
struct history *history_create(void);
void history_destroy(struct history *h);
/* now_ms: monotonic. More often than once a second changes nothing. */
void history_feed(struct history *h, const struct totals_counts *counts,
    const struct history_gauges *gauges, int64_t now_ms);
/* Per second over the last `window_s` (1 .. HISTORY_WINDOW_S), or as long as is known. */
double history_rate(const struct history *h, enum history_series s, unsigned window_s);
/* Durations of the requests that ended in the last minute, as of now. The seconds it
 * covers are returned. */
double history_latency(const struct history *h, const struct totals_counts *now,
    int64_t now_ms, uint64_t counts[HIST_BUCKETS]);

struct history_range {
	int64_t first_s; /* of the clock of history_feed */
	unsigned step_s;
	size_t n; /* points */
};

/* What there is of the last since_s seconds in steps of 1, or of a multiple of 10. */
struct history_range history_find(
    const struct history *h, unsigned since_s, unsigned step_s);
/* range.n points, oldest first; NAN: not known. Over several cells a rate or gauge is the
 * mean, a duration the highest. */
void history_read(const struct history *h, enum history_series s,
    const struct history_range *range, float *points);
/* By name; HISTORY_SERIES_COUNT: none. */
enum history_series history_series_find(const char *name);
