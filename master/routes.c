/* Sums by route over the segments of workers, which are believed as far as they add up.
 * SPDX-License-Identifier: MIT */
#include "master/routes.h"

/* A struct route_counts is nothing but numbers. */
#define NUMBERS (sizeof(struct route_counts) / sizeof(uint64_t))

static uint64_t *
numbers(struct route_counts *c)
{
	return &c->errors;
}

static uint64_t
load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static void
read_counts(struct route_counts *to, const struct seg_route *from)
{
	to->errors = load(&from->errors);
	to->sum_us = load(&from->sum_us);
	for (size_t i = 0; i < HIST_CLASSES; i++)
		to->classes[i] = load(&from->classes[i]);
	for (size_t i = 0; i < SEG_ROUTE_BUCKETS; i++)
		to->bucket[i] = load(&from->bucket[i]);
}

/* A counter that shrinks, or is larger than any can be, stays at what it was. */
static void
add_growth(struct route_counts *to, struct route_counts *seen, const struct seg_route *from)
{
	struct route_counts now;
	uint64_t *sum = numbers(to), *was = numbers(seen), *is = numbers(&now);

	read_counts(&now, from);
	for (size_t i = 0; i < NUMBERS; i++) {
		if (is[i] <= was[i] || is[i] > INT64_MAX)
			continue;
		sum[i] = MIN(sum[i] + (is[i] - was[i]), (uint64_t)INT64_MAX);
		was[i] = is[i];
	}
}

/* The place of a route with this name; ROUTES_OTHER's when there is none left. */
static uint32_t
place_of(struct routes *t, const char *name)
{
	for (uint32_t i = 1; i <= t->n; i++)
		if (strcmp(t->v[i].name, name) == 0)
			return i;
	if (t->n == ROUTES_KEPT)
		return 0;
	snprintf(t->v[++t->n].name, sizeof(t->v[0].name), "%s", name);
	return t->n;
}

/* Text that JSON can carry, and none of our own names. */
static bool
is_name(const char *p, size_t n)
{
	json_t *text = json_stringn(p, n);
	bool good = text != NULL && p[0] != '~';

	json_decref(text);
	for (size_t i = 0; i < n; i++)
		good = good && (uint8_t)p[i] >= 0x20 && p[i] != 0x7f;
	return good;
}

/* false: nobody's yet. */
static bool
read_name(const struct seg_route *from, char name[ACCT_KEY_MAX + 1])
{
	uint32_t n = atomic_load_explicit(&from->name_n, memory_order_acquire);

	if (n == 0)
		return false;
	n = MIN(n, (uint32_t)ACCT_KEY_MAX);
	memcpy(name, from->name, n);
	name[n] = '\0';
	if (!is_name(name, n))
		name[0] = '\0';
	return true;
}

/* Routes the worker has begun with since the last time. */
static void
find_new(struct routes *t, struct routes_seen *seen)
{
	char name[ACCT_KEY_MAX + 1];

	while (seen->n < SEG_ROUTES && read_name(&seen->seg->routes[seen->n], name)) {
		struct route_counts *grown =
		    reallocarray(seen->counts, seen->n + 1, sizeof(struct route_counts));

		if (grown == NULL)
			return; /* the next look tries again */
		seen->counts = grown;
		memset(&grown[seen->n], 0, sizeof(struct route_counts));
		seen->to[seen->n++] = (uint8_t)(name[0] == '\0' ? 0 : place_of(t, name));
	}
}

/* The link to it, or to the list's end. */
static struct routes_seen **
find(struct routes *t, const struct seg *s)
{
	struct routes_seen **link = &t->seen;

	while (*link != NULL && (*link)->seg != s)
		link = &(*link)->next;
	return link;
}

static void
look(struct routes *t, struct routes_seen *seen)
{
	find_new(t, seen);
	for (uint32_t i = 0; i < seen->n; i++)
		add_growth(
		    &t->v[seen->to[i]].counts, &seen->counts[i], &seen->seg->routes[i]);
	add_growth(&t->v[0].counts, &seen->other, &seen->seg->routes[SEG_ROUTES_OTHER]);
}

/* Without memory it is left out until the next time. */
void
routes_look(struct routes *t, const struct seg *s)
{
	struct routes_seen **link = find(t, s);

	if (*link == NULL && (*link = calloc(1, sizeof(**link))) != NULL)
		(*link)->seg = s;
	if (*link != NULL)
		look(t, *link);
}

void
routes_fold(struct routes *t, const struct seg *s)
{
	struct routes_seen **link = find(t, s), *seen = *link;
	struct routes_seen once = {.seg = s};

	if (seen == NULL) {
		look(t, &once);
		free(once.counts);
		return;
	}
	look(t, seen);
	*link = seen->next;
	free(seen->counts);
	free(seen);
}

void
routes_finish(struct routes *t)
{
	while (t->seen != NULL) {
		struct routes_seen *seen = t->seen;

		t->seen = seen->next;
		free(seen->counts);
		free(seen);
	}
}

uint64_t
routes_requests(const struct route_counts *c)
{
	uint64_t n = 0;

	for (size_t i = 0; i < HIST_CLASSES; i++)
		n = MIN(n + c->classes[i], (uint64_t)INT64_MAX);
	return n;
}

double
routes_quantile(const struct route_counts *c, double q)
{
	uint64_t fine[HIST_BUCKETS] = {0};

	for (unsigned i = 0; i < SEG_ROUTE_BUCKETS; i++)
		fine[seg_route_bucket_last(i)] = c->bucket[i];
	return hist_quantile(fine, q);
}

static void
subtract(struct route_counts *from, struct route_counts *c)
{
	uint64_t *sum = numbers(from), *less = numbers(c);

	for (size_t i = 0; i < NUMBERS; i++)
		sum[i] -= MIN(sum[i], less[i]);
}

/* The workers that live are looked at anew by whoever takes over. */
json_t *
routes_save(const struct routes *t)
{
	struct route_counts *gone = calloc(ROUTES_KEPT + 1, sizeof(*gone));
	json_t *all = json_array();

	if (gone == NULL)
		return all;
	for (uint32_t i = 0; i <= t->n; i++)
		gone[i] = t->v[i].counts;
	for (const struct routes_seen *s = t->seen; s != NULL; s = s->next) {
		struct route_counts other = s->other;

		subtract(&gone[0], &other);
		for (uint32_t i = 0; i < s->n; i++)
			subtract(&gone[s->to[i]], &s->counts[i]);
	}
	for (uint32_t i = 0; i <= t->n; i++) {
		json_t *list = json_array();

		for (size_t k = 0; k < NUMBERS; k++)
			json_array_append_new(
			    list, json_integer((json_int_t)numbers(&gone[i])[k]));
		json_array_append_new(
		    all, json_pack("{s:s, s:o}", "route", t->v[i].name, "counts", list));
	}
	free(gone);
	return all;
}

void
routes_restore(struct routes *t, const json_t *from)
{
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)from, i, one)
	{
		const char *name = json_string_value(json_object_get(one, "route"));
		const json_t *counts = json_object_get(one, "counts");
		struct route_counts *c;

		if (name == NULL || strlen(name) > ACCT_KEY_MAX)
			continue;
		c = &t->v[name[0] == '\0' ? 0 : place_of(t, name)].counts;
		for (size_t k = 0; k < NUMBERS; k++)
			numbers(c)[k] =
			    (uint64_t)MAX(json_integer_value(json_array_get(counts, k)), 0);
	}
}
