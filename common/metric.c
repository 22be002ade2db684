/* Tables of an application's metrics: writing them, and reading them with suspicion.
 * SPDX-License-Identifier: MIT */
#include "common/metric.h"

#include <math.h>

#define COUNT_MAX ((uint64_t)INT64_MAX / 4096) /* sums over workers stay in range */

static bool
is_letter(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_';
}

static bool
is_name(struct str s, bool colon)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_letter(s.p[i]) && !(colon && s.p[i] == ':') &&
		    !(i > 0 && s.p[i] >= '0' && s.p[i] <= '9'))
			return false;
	return s.n > 0;
}

bool
metric_name_is_valid(struct str s)
{
	return s.n <= METRIC_NAME_MAX && is_name(s, true);
}

bool
metric_label_is_valid(struct str s)
{
	return s.n <= METRIC_LABEL_MAX && is_name(s, false) &&
	       !(s.n > 1 && s.p[0] == '_' && s.p[1] == '_');
}

bool
metric_put_text(struct metric_table *t, const char *p, size_t n, struct metric_span *to)
{
	if (n > METRIC_TEXT - t->text_used)
		return false;
	*to = (struct metric_span){t->text_used, (uint32_t)n};
	memcpy(t->text + t->text_used, p, n);
	t->text_used += (uint32_t)n;
	return true;
}

int
metric_add(struct metric_table *t, const struct metric_series *like, struct str tail)
{
	uint32_t at = atomic_load_explicit(&t->used, memory_order_relaxed);
	struct metric_series *s = &t->series[at];

	if (at >= METRIC_SERIES || !metric_put_text(t, tail.p, tail.n, &s->tail))
		return -1;
	s->kind = like->kind;
	s->mode = like->mode;
	s->n_labels = like->n_labels;
	s->head = like->head;
	/* A reader that sees the number sees the series. */
	atomic_store_explicit(&t->used, at + 1, memory_order_release);
	return (int)at;
}

void
metric_inherit(struct metric_table *to, const struct metric_table *from)
{
	uint32_t used = metric_used(from);

	memcpy(to->text, from->text, from->text_used);
	to->text_used = from->text_used;
	for (uint32_t i = 0; i < used; i++) {
		const struct metric_series *old = &from->series[i];
		struct metric_series *s = &to->series[i];

		s->kind = old->kind;
		s->mode = old->mode;
		s->n_labels = old->n_labels;
		s->head = old->head;
		s->tail = old->tail;
		for (unsigned c = 0; old->kind == METRIC_GAUGE && c < METRIC_CELLS; c++)
			atomic_store_explicit(&s->cell[c],
			    atomic_load_explicit(&old->cell[c], memory_order_relaxed),
			    memory_order_relaxed);
	}
	atomic_store_explicit(&to->used, used, memory_order_release);
}

size_t
metric_clean_value(char *p, size_t n)
{
	if (n > METRIC_VALUE_MAX) {
		n = METRIC_VALUE_MAX;
		while (n > 0 && ((unsigned char)p[n] & 0xc0) == 0x80)
			n--;
	}
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)p[i] < 0x20 && p[i] != '\n' && p[i] != '\t') ||
		    p[i] == 0x7f)
			p[i] = '?';
	return n;
}

uint32_t
metric_used(const struct metric_table *t)
{
	return MIN(
	    atomic_load_explicit(&t->used, memory_order_acquire), (uint32_t)METRIC_SERIES);
}

/* Copies a span of the table; it may change behind us, the copy may not. */
static bool
take_text(const struct metric_table *t, struct metric_span span, char *to, size_t max)
{
	if (span.n > max || span.at > METRIC_TEXT || span.n > METRIC_TEXT - span.at)
		return false;
	memcpy(to, t->text + span.at, span.n);
	return span.n == 0 || to[span.n - 1] == '\0';
}

/* The next string of those between *p and end; NULL: there is none. */
static char *
next_string(char **p, const char *end)
{
	char *s = *p;

	if (s >= end)
		return NULL;
	*p += strlen(s) + 1;
	return s;
}

static bool
read_head(struct metric_view *v, char *p, const char *end)
{
	v->name = next_string(&p, end);
	v->help = next_string(&p, end);
	if (v->name == NULL || v->help == NULL || !metric_name_is_valid(str_of(v->name)))
		return false;
	for (unsigned i = 0; i < v->n_labels; i++) {
		v->label[i] = next_string(&p, end);
		if (v->label[i] == NULL || !metric_label_is_valid(str_of(v->label[i])))
			return false;
	}
	return p == end;
}

static bool
read_tail(struct metric_view *v, char *p, const char *end)
{
	v->tail = (struct str){p, (size_t)(end - p)};
	for (unsigned i = 0; i < v->n_labels; i++) {
		char *value = next_string(&p, end);
		size_t n;

		if (value == NULL)
			return false;
		n = strlen(value);
		if (metric_clean_value(value, n) != n)
			return false;
		v->value[i] = value;
	}
	return p == end;
}

static bool
read_numbers(const struct metric_series *s, struct metric_view *v)
{
	const bool counts = v->kind == METRIC_HISTOGRAM;

	v->stamp = 0;
	for (unsigned i = 0; i < HIST_CLASSES; i++) {
		v->classes[i] =
		    counts ? atomic_load_explicit(&s->cell[i], memory_order_relaxed) : 0;
		if (v->classes[i] > COUNT_MAX)
			return false;
	}
	v->number = metric_cell_get(&s->cell[counts ? METRIC_CELL_SUM : METRIC_CELL_VALUE]);
	if (v->kind == METRIC_GAUGE)
		v->stamp =
		    atomic_load_explicit(&s->cell[METRIC_CELL_STAMP], memory_order_relaxed);
	return isfinite(v->number) && (v->kind != METRIC_COUNTER || v->number >= 0);
}

bool
metric_read(const struct metric_table *t, uint32_t index, struct metric_view *v)
{
	const struct metric_series *s = &t->series[index];
	const struct metric_span head = s->head, tail = s->tail;
	char *second = v->text + METRIC_HEAD_MAX;

	v->kind = s->kind;
	v->mode = s->mode;
	v->n_labels = s->n_labels;
	return v->kind < METRIC_KINDS && v->mode < METRIC_MODES &&
	       v->n_labels <= METRIC_LABELS_MAX &&
	       take_text(t, head, v->text, METRIC_HEAD_MAX) &&
	       take_text(t, tail, second, METRIC_TAIL_MAX) &&
	       read_head(v, v->text, v->text + head.n) &&
	       read_tail(v, second, second + tail.n) && read_numbers(s, v);
}
