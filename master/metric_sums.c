/* Series by name and labels, added up. SPDX-License-Identifier: MIT */
#include "master/metric_sums.h"

#include "common/log.h"
#include "common/siphash.h"

#include <math.h>
#include <sys/random.h>

struct metric_sums *
metric_sums_create(void)
{
	struct metric_sums *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->last = &s->families;
	/* Without randomness collisions can be made on purpose: slow, but right. */
	if (getrandom(s->hash_key, sizeof(s->hash_key), GRND_NONBLOCK) < 0)
		s->hash_key[0] = (uint64_t)(uintptr_t)s;
	return s;
}

static struct metric_sum **
find_bin(struct metric_sums *s, const struct metric_family *f, struct str tail)
{
	uint64_t hash = siphash(s->hash_key, tail.p, tail.n);

	/* Many families have a series without labels. */
	return &s->bins[(hash ^ f->salt) % METRIC_SUMS_BINS];
}

static struct metric_family **
find_family_bin(struct metric_sums *s, const char *name)
{
	return &s->family_bins[siphash(s->hash_key, name, strlen(name)) % METRIC_SUMS_BINS];
}

/* Takes out the one that *at, of its family's list, leads to. */
static void
drop_one(struct metric_sums *s, struct metric_sum **at)
{
	struct metric_sum *one = *at, **bin = find_bin(s, one->family,
					  (struct str){one->tail, one->tail_n});

	while (*bin != one)
		bin = &(*bin)->next_in_bin;
	*bin = one->next_in_bin;
	*at = one->next;
	s->n--;
	s->text -= one->tail_n;
	free(one);
}

static void
drop_family(struct metric_sums *s, struct metric_family *f)
{
	struct metric_family **bin = find_family_bin(s, f->head), **at = &s->families;

	while (f->series != NULL)
		drop_one(s, &f->series);
	while (*bin != f)
		bin = &(*bin)->next_in_bin;
	*bin = f->next_in_bin;
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	if (s->last == &f->next)
		s->last = at;
	s->text -= f->head_n;
	free(f);
}

void
metric_sums_destroy(struct metric_sums *s)
{
	if (s == NULL)
		return;
	while (s->families != NULL)
		drop_family(s, s->families);
	free(s);
}

/* ---- Finding ---- */

static bool
is_full(const struct metric_sums *s, size_t more)
{
	return s->n >= METRIC_SUMS_MAX || s->text + more > METRIC_SUMS_TEXT;
}

static uint32_t
head_length(const struct metric_view *v)
{
	const char *last = v->n_labels > 0 ? v->label[v->n_labels - 1] : v->help;

	return (uint32_t)(last + strlen(last) + 1 - v->text);
}

static struct metric_family *
add_family(struct metric_sums *s, const struct metric_view *v, unsigned generation)
{
	struct metric_family **bin = find_family_bin(s, v->name);
	uint32_t n = head_length(v);
	struct metric_family *f =
	    is_full(s, n) ? NULL : malloc(sizeof(struct metric_family) + n);

	if (f == NULL)
		return NULL;
	*f = (struct metric_family){
	    .next_in_bin = *bin,
	    .kind = v->kind,
	    .mode = v->mode,
	    .n_labels = v->n_labels,
	    .generation = generation,
	    .salt = siphash(s->hash_key, v->name, strlen(v->name)),
	    .head_n = n,
	};
	memcpy(f->head, v->text, n);
	*bin = f;
	*s->last = f;
	s->last = &f->next;
	s->text += n;
	return f;
}

/* Whether the label names are the same ones, in the same order. */
static bool
is_same(const struct metric_family *f, const struct metric_view *v)
{
	const char *old = f->head + strlen(f->head) + 1, *end = f->head + f->head_n;
	const char *new = v->help + strlen(v->help) + 1;

	old += strlen(old) + 1;
	return f->kind == v->kind && f->mode == v->mode && f->n_labels == v->n_labels &&
	       end - old ==
		   v->text + head_length(v) - new &&memcmp(old, new, (size_t)(end - old)) ==
		   0;
}

static void
tell_conflict(struct metric_sums *s, const struct metric_view *v, unsigned generation)
{
	s->conflicts++;
	if (s->told < generation)
		log_warn("metrics", "a metric of the application is another one elsewhere",
		    "name=%s generation=%u", v->name, generation);
	s->told = MAX(s->told, generation);
}

/* Workers of two generations may disagree about what a metric is: then the newer one is
 * right, and it begins anew. Of one generation, the first. NULL: it has no place. */
static struct metric_family *
find_family(struct metric_sums *s, const struct metric_view *v, unsigned generation)
{
	struct metric_family *f = *find_family_bin(s, v->name);

	while (f != NULL && strcmp(f->head, v->name) != 0)
		f = f->next_in_bin;
	if (f != NULL && !is_same(f, v)) {
		tell_conflict(s, v, generation);
		if (generation <= f->generation)
			return NULL;
		drop_family(s, f);
		f = NULL;
	}
	if (f == NULL)
		f = add_family(s, v, generation);
	if (f == NULL)
		s->lost++;
	return f;
}

static struct metric_sum *
find_series(struct metric_sums *s, struct metric_family *f, struct str tail)
{
	struct metric_sum **bin = find_bin(s, f, tail), *one = *bin;

	while (one != NULL && (one->family != f || one->tail_n != tail.n ||
				  memcmp(one->tail, tail.p, tail.n) != 0))
		one = one->next_in_bin;
	if (one != NULL)
		return one;
	one = is_full(s, tail.n) ? NULL : calloc(1, sizeof(*one) + tail.n + 1);
	if (one == NULL)
		return NULL;
	one->family = f;
	one->next_in_bin = *bin;
	one->next = f->series;
	one->tail_n = (uint32_t)tail.n;
	memcpy(one->tail, tail.p, tail.n);
	*bin = one;
	f->series = one;
	s->n++;
	s->text += tail.n;
	return one;
}

/* ---- Adding ---- */

static double
combine(const struct metric_sum *one, const struct metric_amount *more)
{
	const struct metric_amount *now = &one->now;

	if (one->family->kind == METRIC_GAUGE && one->holders > 0)
		switch (one->family->mode) {
		case METRIC_LAST:
			return more->stamp >= now->stamp ? more->number : now->number;
		case METRIC_LEAST:
			return MIN(now->number, more->number);
		case METRIC_MOST:
			return MAX(now->number, more->number);
		default:
			break;
		}
	else if (one->family->kind == METRIC_GAUGE)
		return more->number;
	return now->number + more->number;
}

static void
add_live(struct metric_sum *one, const struct metric_amount *more)
{
	double number = combine(one, more);

	if (isfinite(number))
		one->now.number = number;
	one->now.stamp = MAX(one->now.stamp, more->stamp);
	for (unsigned i = 0; i < HIST_CLASSES; i++)
		one->now.classes[i] =
		    MIN(one->now.classes[i] + more->classes[i], (uint64_t)INT64_MAX / 16);
	one->holders++;
}

static void
add_gone(struct metric_sum *one, const struct metric_amount *more)
{
	if (isfinite(one->gone.number + more->number))
		one->gone.number += more->number;
	for (unsigned i = 0; i < HIST_CLASSES; i++)
		one->gone.classes[i] =
		    MIN(one->gone.classes[i] + more->classes[i], (uint64_t)INT64_MAX / 16);
	one->folded = true;
}

void
metric_sums_add(
    struct metric_sums *s, const struct metric_view *v, unsigned generation, bool gone)
{
	struct metric_amount amount = {.number = v->number, .stamp = v->stamp};
	struct metric_family *f = find_family(s, v, generation);
	struct metric_sum *one;

	if (f == NULL)
		return;
	one = find_series(s, f, v->tail);
	if (one == NULL) {
		s->lost++;
		return;
	}
	memcpy(amount.classes, v->classes, sizeof(v->classes));
	(gone ? add_gone : add_live)(one, &amount);
}

/* Gauges die with their worker; one that nobody has set yet is no least or last one. */
static void
add_table(struct metric_sums *s, const struct metric_source *from, bool gone)
{
	uint32_t used = metric_used(from->table);
	struct metric_view v;

	for (uint32_t i = 0; i < used; i++)
		if (!metric_read(from->table, i, &v))
			s->lost++;
		else if (v.kind != METRIC_GAUGE ||
			 (!gone && (v.mode == METRIC_SUM || v.stamp != 0)))
			metric_sums_add(s, &v, from->generation, gone);
}

static uint64_t
overflow_of(const struct metric_table *t)
{
	return MIN(atomic_load_explicit(&t->overflow, memory_order_relaxed),
	    (uint64_t)INT64_MAX / 4096);
}

void
metric_sums_fold(struct metric_sums *s, const struct metric_source *dead)
{
	add_table(s, dead, true);
	s->overflow = MIN(s->overflow + overflow_of(dead->table), (uint64_t)INT64_MAX / 2);
}

/* Gauges nobody has any more make room for what comes. */
static void
sweep(struct metric_sums *s)
{
	for (struct metric_family *f = s->families; f != NULL; f = f->next)
		for (struct metric_sum **at = &f->series; *at != NULL;) {
			if ((*at)->folded || (*at)->holders > 0)
				at = &(*at)->next;
			else
				drop_one(s, at);
		}
}

uint64_t
metric_sums_look(struct metric_sums *s, const struct metric_source *live, size_t n)
{
	uint64_t overflow = s->overflow;

	/* What is in the way now, not how often somebody has looked. */
	s->lost = s->conflicts = 0;
	for (struct metric_family *f = s->families; f != NULL; f = f->next)
		for (struct metric_sum *one = f->series; one != NULL; one = one->next) {
			one->now = one->gone;
			one->holders = 0;
		}
	for (size_t i = 0; i < n; i++) {
		add_table(s, &live[i], false);
		overflow += overflow_of(live[i].table);
	}
	sweep(s);
	return overflow;
}
