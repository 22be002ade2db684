/* Two rings of columns, each the difference of a histogram at two moments.
 * SPDX-License-Identifier: MIT */
#include "master/heat.h"

#include <math.h>

struct ring {
	int64_t first, end; /* cells in the ring; end 0: none was begun */
	uint64_t mark[HEAT_NAMES][HIST_BUCKETS]; /* when the present cell began */
	struct heat_column columns[HEAT_NAMES][HEAT_COLUMNS]; /* cell c at c % its length */
};

struct heat {
	struct ring rings[HEAT_RINGS];
};

const enum duration_id heat_names[HEAT_NAMES] = {
    DURATION_request, DURATION_ttfb, DURATION_app, DURATION_delivery};

static const unsigned steps_s[HEAT_RINGS] = {HEAT_FINE_S, HEAT_COARSE_S};

struct heat *
heat_create(void)
{
	return calloc(1, sizeof(struct heat));
}

void
heat_destroy(struct heat *h)
{
	free(h);
}

/* Schema 4's index i lies in schema 1's ceil(i / 8). */
unsigned
heat_row(unsigned bucket)
{
	const int index = HIST_FIRST_INDEX + (int)bucket;
	const int row =
	    index > 0 ? (index + HEAT_MERGED - 1) / HEAT_MERGED : index / HEAT_MERGED;

	return (unsigned)(row - HEAT_FIRST_ROW);
}

static void
close_column(struct ring *r, unsigned name, const uint64_t *now)
{
	struct heat_column *c = &r->columns[name][(r->end - 1) % HEAT_COLUMNS];
	uint64_t grown[HIST_BUCKETS];

	*c = (struct heat_column){.cell = r->end - 1, .p50_us = NAN};
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		uint32_t *row = &c->rows[heat_row(i)];

		grown[i] = now[i] > r->mark[name][i] ? now[i] - r->mark[name][i] : 0;
		*row = (uint32_t)MIN(*row + grown[i], UINT32_MAX);
	}
	if (totals_latency_count(grown) == 0)
		return;
	c->p50_us = (float)hist_quantile(grown, 0.5);
	c->p99_us = (float)hist_quantile(grown, 0.99);
	c->p999_us = (float)hist_quantile(grown, 0.999);
}

static void
feed_ring(struct ring *r, const struct totals_tallies *t, int64_t cell)
{
	if (cell < r->end)
		return;
	/* While the master itself stood still nobody knows what was when: the cells it has
	 * missed stay without a column. */
	for (unsigned n = 0; n < HEAT_NAMES; n++) {
		const uint64_t *now = t->durations[heat_names[n]].bucket;

		if (r->end > 0 && cell == r->end)
			close_column(r, n, now);
		memcpy(r->mark[n], now, sizeof(r->mark[n]));
	}
	if (r->end == 0)
		r->first = cell;
	r->end = cell + 1;
	r->first = MAX(r->first, r->end - 1 - HEAT_COLUMNS);
}

void
heat_feed(struct heat *h, const struct totals_tallies *t, int64_t now_s)
{
	for (unsigned i = 0; i < HEAT_RINGS; i++)
		feed_ring(&h->rings[i], t, now_s / steps_s[i]);
}

static const struct ring *
ring_of(const struct heat *h, unsigned step_s)
{
	return &h->rings[step_s == HEAT_FINE_S ? 0 : 1];
}

struct heat_range
heat_find(const struct heat *h, unsigned since_s)
{
	const unsigned step_s =
	    since_s <= HEAT_FINE_S * HEAT_COLUMNS ? HEAT_FINE_S : HEAT_COARSE_S;
	const struct ring *r = ring_of(h, step_s);
	/* The last cell is not over. */
	const int64_t end = r->end - 1;
	const int64_t first = MAX(r->first, end - (int64_t)(since_s / step_s) - 1);

	return (struct heat_range){
	    .first_s = first * step_s,
	    .step_s = step_s,
	    .n = r->end > 0 && end > first ? (unsigned)(end - first) : 0,
	};
}

const struct heat_column *
heat_at(const struct heat *h, unsigned name, const struct heat_range *range, unsigned i)
{
	const int64_t cell = range->first_s / range->step_s + i;
	const struct heat_column *c =
	    &ring_of(h, range->step_s)->columns[name][cell % HEAT_COLUMNS];

	return c->cell == cell && !isnan(c->p50_us) ? c : NULL;
}
