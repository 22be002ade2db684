/* Two rings of points for each series, and the last minute's counters to make them from.
 * SPDX-License-Identifier: MIT */
#include "master/history.h"

#include <math.h>

const struct history_line history_lines[HISTORY_SERIES_COUNT] = {
#define SERIES(ident, unit, text) {#ident, unit, text},
    HISTORY_SERIES(SERIES)
#undef SERIES
};

/* Counters whose sum a rate is made from, as bits. */
#define BIT(name) (UINT64_C(1) << STAT_##name)
_Static_assert(STAT_COUNT <= 64, "a set of counters is a word");

static const uint64_t rates[HISTORY_SERIES_COUNT] = {
    [HISTORY_rps] = BIT(requests),
    [HISTORY_bytes_in] = BIT(in_head) | BIT(in_body) | BIT(in_framing) | BIT(in_tls),
    [HISTORY_bytes_out] = BIT(out_head) | BIT(out_body) | BIT(out_framing) | BIT(out_tls),
    [HISTORY_bytes_out_body] = BIT(out_body),
    [HISTORY_bytes_out_tls] = BIT(out_tls),
    [HISTORY_bytes_undelivered] = BIT(out_undelivered),
    [HISTORY_errors_4xx] = BIT(responses_4xx),
    [HISTORY_errors_5xx] = BIT(responses_5xx),
    [HISTORY_aborted] = BIT(aborted),
    [HISTORY_rejected] = BIT(rejected),
    [HISTORY_timeouts] = BIT(timeouts),
    [HISTORY_app_errors] = BIT(app_errors),
    [HISTORY_accepted] = BIT(accepted),
};

static const double quantiles[HISTORY_SERIES_COUNT] = {
    [HISTORY_p50_us] = 0.5,
    [HISTORY_p90_us] = 0.9,
    [HISTORY_p99_us] = 0.99,
    [HISTORY_p999_us] = 0.999,
};

struct history *
history_create(void)
{
	return calloc(1, sizeof(struct history));
}

void
history_destroy(struct history *h)
{
	free(h);
}

static uint64_t
sum_of(const struct totals_counts *c, uint64_t set)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < STAT_COUNT; i++)
		if (set & (UINT64_C(1) << i))
			sum += c->stats[i];
	return sum;
}

/* `back` marks before the newest, or the oldest there is. */
static const struct history_mark *
mark_at(const struct history *h, size_t back)
{
	back = MIN(back, h->n_marks - 1);
	return &h->marks[(h->newest + ARRAY_LEN(h->marks) - back) % ARRAY_LEN(h->marks)];
}

static double
rate_between(
    const struct history_mark *from, const struct history_mark *to, enum history_series s)
{
	double elapsed_s = (double)(to->ms - from->ms) / 1000;
	uint64_t before = sum_of(&from->counts, rates[s]);
	uint64_t after = sum_of(&to->counts, rates[s]);

	return elapsed_s > 0 && after > before ? (double)(after - before) / elapsed_s : 0;
}

/* Bytes per second of one direction; NAN: the kernel told none, or another network. */
static float
nic_between(int64_t from, int64_t to, int64_t elapsed_ms)
{
	if (from < 0 || to < from || elapsed_ms <= 0)
		return NAN;
	return (float)((double)(to - from) * 1000 / (double)elapsed_ms);
}

static void
latency_between(const struct totals_counts *from, const struct totals_counts *to,
    uint64_t counts[HIST_BUCKETS])
{
	for (size_t i = 0; i < HIST_BUCKETS; i++)
		counts[i] = to->latency[i] > from->latency[i]
				? to->latency[i] - from->latency[i]
				: 0;
}

/* The points of a cell that spans from one mark to another; gauges are `to`'s. */
static void
make_points(const struct history_mark *from, const struct history_mark *to,
    const struct history_gauges *g, float points[HISTORY_SERIES_COUNT])
{
	uint64_t counts[HIST_BUCKETS];
	bool any;

	latency_between(&from->counts, &to->counts, counts);
	any = totals_latency_count(counts) > 0;
	for (unsigned s = 0; s < HISTORY_SERIES_COUNT; s++) {
		if (rates[s] != 0)
			points[s] = (float)rate_between(from, to, s);
		else if (quantiles[s] > 0)
			points[s] = any ? (float)hist_quantile(counts, quantiles[s]) : NAN;
	}
	points[HISTORY_nic_in] =
	    nic_between(from->nic.in_bytes, to->nic.in_bytes, to->ms - from->ms);
	points[HISTORY_nic_out] =
	    nic_between(from->nic.out_bytes, to->nic.out_bytes, to->ms - from->ms);
	points[HISTORY_connections] = (float)to->counts.stats[STAT_connections];
	points[HISTORY_in_flight] = (float)to->counts.stats[STAT_in_flight];
	points[HISTORY_queued] = (float)to->counts.stats[STAT_queued];
	points[HISTORY_workers_ready] = (float)g->workers_ready;
	points[HISTORY_workers_busy] = (float)g->workers_busy;
	points[HISTORY_rss_bytes] = (float)g->rss_bytes;
}

static void
add_mark(struct history *h, const struct totals_counts *counts,
    const struct history_gauges *gauges, int64_t now_ms)
{
	h->newest = h->n_marks == 0 ? 0 : (h->newest + 1) % ARRAY_LEN(h->marks);
	h->n_marks = MIN(h->n_marks + 1, ARRAY_LEN(h->marks));
	h->marks[h->newest].ms = now_ms;
	h->marks[h->newest].counts = *counts;
	h->marks[h->newest].nic = gauges->nic;
}

/* Cells made one: a rate or a gauge is their mean, a duration the highest. */
static float
fold(const float *ring, int64_t length, int64_t first, int64_t cells, bool highest)
{
	double sum = 0;
	float top = NAN;
	unsigned n = 0;

	for (int64_t c = first; c < first + cells; c++) {
		float point = ring[c % length];

		if (isnan(point))
			continue;
		top = n == 0 ? point : MAX(top, point);
		sum += (double)point;
		n++;
	}
	if (n == 0)
		return NAN;
	return highest ? top : (float)(sum / n);
}

/* Ten seconds are complete: means of their points, and true quantiles of their requests
 * as long as the marks reach back (they don't after the master itself stood still). */
static void
close_coarse(struct history *h, int64_t cell)
{
	int64_t first = MAX(cell * HISTORY_COARSE_S, h->fine_first);
	int64_t end = MIN((cell + 1) * HISTORY_COARSE_S, h->fine_end);
	const struct history_mark *from = mark_at(h, HISTORY_COARSE_S);
	uint64_t counts[HIST_BUCKETS];
	bool exact = mark_at(h, 0)->ms - from->ms <= (HISTORY_COARSE_S + 1) * 1000;

	latency_between(&from->counts, &mark_at(h, 0)->counts, counts);
	exact = exact && totals_latency_count(counts) > 0;
	for (unsigned s = 0; s < HISTORY_SERIES_COUNT; s++) {
		float *to = &h->coarse[s][cell % HISTORY_COARSE];

		if (quantiles[s] > 0 && exact)
			*to = (float)hist_quantile(counts, quantiles[s]);
		else
			*to = fold(
			    h->fine[s], HISTORY_FINE, first, end - first, quantiles[s] > 0);
	}
	if (h->coarse_end == 0)
		h->coarse_first = cell;
	h->coarse_end = cell + 1;
	h->coarse_first = MAX(h->coarse_first, h->coarse_end - HISTORY_COARSE);
}

static void
put_second(struct history *h, int64_t second, const float points[HISTORY_SERIES_COUNT])
{
	for (unsigned s = 0; s < HISTORY_SERIES_COUNT; s++)
		h->fine[s][second % HISTORY_FINE] = points[s];
	h->fine_end = second + 1;
	h->fine_first = MAX(h->fine_first, h->fine_end - HISTORY_FINE);
	if (h->fine_end % HISTORY_COARSE_S == 0)
		close_coarse(h, second / HISTORY_COARSE_S);
}

void
history_feed(struct history *h, const struct totals_counts *counts,
    const struct history_gauges *gauges, int64_t now_ms)
{
	int64_t second = now_ms / 1000;
	float points[HISTORY_SERIES_COUNT];

	if (h->n_marks > 0 && second < h->fine_end)
		return;
	if (h->n_marks > 0 && second - h->fine_end >= HISTORY_FINE) {
		/* The machine slept: what was before is no history of this hour. */
		h->n_marks = 0;
		h->fine_end = h->coarse_first = h->coarse_end = 0;
	}
	if (h->n_marks == 0) {
		add_mark(h, counts, gauges, now_ms);
		h->fine_first = h->fine_end = second + 1;
		return;
	}
	add_mark(h, counts, gauges, now_ms);
	make_points(mark_at(h, 1), mark_at(h, 0), gauges, points);
	/* Seconds the master missed have the rate of the whole gap. */
	for (int64_t at = h->fine_end; at <= second; at++)
		put_second(h, at, points);
}

double
history_rate(const struct history *h, enum history_series s, unsigned window_s)
{
	if (h->n_marks == 0)
		return 0;
	return rate_between(mark_at(h, window_s), mark_at(h, 0), s);
}

double
history_latency(const struct history *h, const struct totals_counts *now, int64_t now_ms,
    uint64_t counts[HIST_BUCKETS])
{
	if (h->n_marks == 0) {
		memcpy(counts, now->latency, sizeof(now->latency));
		return 0;
	}
	latency_between(&mark_at(h, HISTORY_WINDOW_S)->counts, now, counts);
	return (double)(now_ms - mark_at(h, HISTORY_WINDOW_S)->ms) / 1000;
}

struct history_range
history_find(const struct history *h, unsigned since_s, unsigned step_s)
{
	bool fine = step_s == 1;
	int64_t cell_s = fine ? 1 : HISTORY_COARSE_S;
	int64_t first = fine ? h->fine_first : h->coarse_first;
	int64_t end = fine ? h->fine_end : h->coarse_end;
	int64_t cells = MAX(step_s / cell_s, 1);

	first = MAX(first, end - (int64_t)since_s / cell_s);
	/* Steps begin at multiples of themselves, so that the next answer has the same. */
	first = (first + cells - 1) / cells * cells;
	return (struct history_range){
	    .first_s = first * cell_s,
	    .step_s = (unsigned)(cells * cell_s),
	    .n = end > first ? (size_t)((end - first) / cells) : 0,
	};
}

void
history_read(const struct history *h, enum history_series s,
    const struct history_range *range, float *points)
{
	bool fine = range->step_s == 1;
	const float *ring = fine ? h->fine[s] : h->coarse[s];
	int64_t length = fine ? HISTORY_FINE : HISTORY_COARSE;
	int64_t cell_s = fine ? 1 : HISTORY_COARSE_S;
	int64_t cells = range->step_s / cell_s;

	for (size_t i = 0; i < range->n; i++)
		points[i] = fold(ring, length, range->first_s / cell_s + (int64_t)i * cells,
		    cells, quantiles[s] > 0);
}

enum history_series
history_series_find(const char *name)
{
	unsigned s = 0;

	while (s < HISTORY_SERIES_COUNT && strcmp(name, history_lines[s].name) != 0)
		s++;
	return s;
}
