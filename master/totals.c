/* Sums over the segments of live workers and the accounts of dead ones.
 * SPDX-License-Identifier: MIT */
#include "master/totals.h"

#include <time.h>

#define IS_GAUGE_counter false
#define IS_GAUGE_gauge true

const struct totals_field totals_fields[STAT_COUNT] = {
#define STAT(name, kind, unit, help) {#name, unit, help, IS_GAUGE_##kind},
#include "common/stats.def"
#undef STAT
};

const struct totals_duration_field totals_durations[DURATIONS] = {
#define DURATION(name, help) {#name, help},
#include "common/durations.def"
#undef DURATION
};

const struct totals_duration_field totals_sizes[SIZES] = {
#define SIZE(name, help) {#name, help},
#include "common/sizes.def"
#undef SIZE
};

static uint64_t
load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

/* A counter that shrinks, or is larger than any can be, stays at what it was. */
static uint64_t
count_seen(uint64_t last, uint64_t now)
{
	return now > last && now <= INT64_MAX ? now : last;
}

/* Both are at most INT64_MAX. */
static uint64_t
add(uint64_t a, uint64_t b)
{
	return MIN(a + b, (uint64_t)INT64_MAX);
}

static uint64_t
sum_up(const uint64_t *counts, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = add(sum, counts[i]);
	return sum;
}

static void
look_all(uint64_t *seen, const _Atomic uint64_t *now, size_t n)
{
	for (size_t i = 0; i < n; i++)
		seen[i] = count_seen(seen[i], load(&now[i]));
}

/* Whatever is recorded is in one of the classes, and most histograms stand still: their
 * many buckets need not be read. The sum is written last: at the look before it may not
 * have had the newest. */
static void
look_at_duration(struct totals_duration *seen, const struct seg_hist *now)
{
	const uint64_t before = sum_up(seen->classes, HIST_CLASSES);

	look_all(seen->classes, now->classes, HIST_CLASSES);
	if (sum_up(seen->classes, HIST_CLASSES) != before)
		look_all(seen->bucket, now->bucket, HIST_BUCKETS);
	look_all(&seen->sum_us, &now->sum_us, 1);
}

static void
add_all(uint64_t *to, const uint64_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = add(to[i], from[i]);
}

static void
look(struct totals_counts *seen, const struct seg *s)
{
	for (size_t i = 0; i < STAT_COUNT; i++) {
		uint64_t now = load(&s->stats[i]);

		/* A gauge below zero, as an unsigned number: nothing is open. */
		if (totals_fields[i].gauge)
			seen->stats[i] = now <= INT64_MAX ? now : 0;
		else
			seen->stats[i] = count_seen(seen->stats[i], now);
	}
	look_all(seen->latency, s->durations[DURATION_request].bucket, HIST_BUCKETS);
}

static void
look_closer(struct request_keys *keys, struct totals_worker *w, const struct seg *s)
{
	struct totals_tallies *seen = &w->tallies;

	request_sums_look(keys, &w->requests, &s->requests, seen->requests);
	look_all(seen->codes, s->codes, SEG_CODES);
	look_all(seen->accepted, s->accepted, SEG_LISTENERS);
	look_all(seen->logged, s->logged, LOG_LEVELS);
	look_all(seen->net, s->net, NET_COUNTS);
	for (size_t i = 0; i < DURATIONS; i++)
		look_at_duration(&seen->durations[i], &s->durations[i]);
	for (size_t i = 0; i < SIZES; i++) {
		struct totals_size *size = &seen->sizes[i];

		look_all(size->classes, s->sizes[i].classes, HIST_SIZE_CLASSES);
		look_all(&size->sum, &s->sizes[i].sum, 1);
	}
}

static void
add_tallies(struct totals_tallies *to, const struct totals_tallies *from)
{
	add_all(to->codes, from->codes, SEG_CODES);
	add_all(to->accepted, from->accepted, SEG_LISTENERS);
	add_all(to->logged, from->logged, LOG_LEVELS);
	add_all(to->net, from->net, NET_COUNTS);
	add_all(to->requests, from->requests, REQUEST_SUMS);
	for (size_t i = 0; i < DURATIONS; i++) {
		struct totals_duration *d = &to->durations[i];

		if (sum_up(from->durations[i].classes, HIST_CLASSES) == 0)
			continue;
		add_all(d->bucket, from->durations[i].bucket, HIST_BUCKETS);
		add_all(d->classes, from->durations[i].classes, HIST_CLASSES);
		add_all(&d->sum_us, &from->durations[i].sum_us, 1);
	}
	for (size_t i = 0; i < SIZES; i++) {
		struct totals_size *size = &to->sizes[i];

		add_all(size->classes, from->sizes[i].classes, HIST_SIZE_CLASSES);
		add_all(&size->sum, &from->sizes[i].sum, 1);
	}
}

static void
add_counts(struct totals_counts *to, const struct totals_counts *from, bool gauges)
{
	for (size_t i = 0; i < STAT_COUNT; i++)
		if (gauges || !totals_fields[i].gauge)
			to->stats[i] = add(to->stats[i], from->stats[i]);
	add_all(to->latency, from->latency, HIST_BUCKETS);
}

/* `hint`: where it is when workers are listed in the same order each time. */
static size_t
find(const struct totals *t, const struct seg *s, size_t hint)
{
	for (size_t i = 0; i < t->n; i++) {
		size_t at = (hint + i) % t->n;

		if (t->workers[at]->seg == s)
			return at;
	}
	return t->n;
}

static struct totals_worker *
append(struct totals *t, const struct seg *s)
{
	struct totals_worker *w;

	if (t->n == t->capacity) {
		size_t capacity = t->capacity ? t->capacity * 2 : 16;
		void *grown =
		    reallocarray(t->workers, capacity, sizeof(struct totals_worker *));

		if (grown == NULL)
			return NULL;
		t->workers = grown;
		t->capacity = capacity;
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	w->seg = s;
	t->workers[t->n++] = w;
	return w;
}

void
totals_finish(struct totals *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->workers[i]);
	free(t->workers);
	*t = (struct totals){.workers = NULL};
}

void
totals_fold(struct totals *t, const struct seg *s, uint64_t last[STAT_COUNT])
{
	size_t at = find(t, s, 0);
	struct totals_worker w = {.seg = s};

	if (at < t->n)
		w = *t->workers[at];
	look(&w.seen, s);
	look_closer(&t->request_keys, &w, s);
	add_counts(&t->dead, &w.seen, false);
	add_tallies(&t->dead_tallies, &w.tallies);
	if (last != NULL)
		memcpy(last, w.seen.stats, sizeof(w.seen.stats));
	if (at == t->n)
		return;
	free(t->workers[at]);
	t->n--;
	/* In order, so that the hints stay good. */
	memmove(&t->workers[at], &t->workers[at + 1],
	    (t->n - at) * sizeof(struct totals_worker *));
}

static double
seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void
totals_take(
    struct totals *t, const struct seg *const *live, size_t n, struct totals_snapshot *out)
{
	out->t = seconds(CLOCK_REALTIME);
	out->mono = seconds(CLOCK_BOOTTIME);
	out->seq = ++t->seq;
	out->sum = t->dead;
	out->tallies = t->dead_tallies;
	for (size_t i = 0; i < n; i++) {
		size_t at = find(t, live[i], i);
		struct totals_worker *w = at < t->n ? t->workers[at] : append(t, live[i]);

		/* Without memory it is left out until the next time. */
		if (w == NULL)
			continue;
		look(&w->seen, live[i]);
		look_closer(&t->request_keys, w, live[i]);
		add_counts(&out->sum, &w->seen, true);
		add_tallies(&out->tallies, &w->tallies);
	}
}

const struct totals_worker *
totals_of(const struct totals *t, const struct seg *s)
{
	size_t at = find(t, s, 0);

	return at < t->n ? t->workers[at] : NULL;
}

uint64_t
totals_latency_count(const uint64_t counts[HIST_BUCKETS])
{
	return sum_up(counts, HIST_BUCKETS);
}

json_t *
totals_list_to_json(const uint64_t *counts, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_integer((json_int_t)counts[i]));
	return list;
}
