/* The sums as JSON: the answer of metrics.get, and what survives the master.
 * SPDX-License-Identifier: MIT */
#include "master/metric_sums.h"

static const char *
after(const char *s)
{
	return s + strlen(s) + 1;
}

static json_t *
make_labels(const struct metric_family *f, const struct metric_sum *one)
{
	const char *name = after(after(f->head)), *value = one->tail;
	json_t *labels = json_object();

	for (unsigned i = 0; i < f->n_labels; i++, name = after(name), value = after(value))
		if (json_object_set_new(labels, name, json_string(value)) < 0) {
			json_decref(labels); /* no UTF-8 */
			return NULL;
		}
	return labels;
}

static json_t *
make_series(const struct metric_family *f, const struct metric_sum *one,
    const struct metric_amount *a)
{
	json_t *labels = make_labels(f, one), *v, *counts;

	if (labels == NULL)
		return NULL;
	v = json_pack("{s:o}", "labels", labels);
	if (f->kind != METRIC_HISTOGRAM) {
		json_object_set_new(v, "value", json_real(a->number));
		return v;
	}
	counts = json_array();
	for (unsigned i = 0; i < HIST_CLASSES; i++)
		json_array_append_new(counts, json_integer((json_int_t)a->classes[i]));
	json_object_set_new(v, "counts", counts);
	json_object_set_new(v, "sum", json_real(a->number));
	return v;
}

static const char *const kinds[METRIC_KINDS] = {"counter", "gauge", "histogram"};
static const char *const modes[METRIC_MODES] = {"sum", "last", "min", "max"};

/* gone: only what dead workers left. NULL: nothing to tell. */
static json_t *
make_family(const struct metric_family *f, bool gone)
{
	json_t *series = json_array(), *help = json_string(after(f->head)), *v;

	for (const struct metric_sum *one = f->series; one != NULL; one = one->next)
		if (one->folded || (!gone && one->holders > 0))
			json_array_append_new(
			    series, make_series(f, one, gone ? &one->gone : &one->now));
	if (json_array_size(series) == 0) {
		json_decref(series);
		json_decref(help);
		return NULL;
	}
	v = json_pack("{s:s, s:s, s:o, s:o}", "name", f->head, "type", kinds[f->kind],
	    "help", help != NULL ? help : json_string(""), "series", series);
	if (f->kind == METRIC_GAUGE)
		json_object_set_new(v, "mode", json_string(modes[f->mode]));
	return v;
}

static json_t *
make_bounds(void)
{
	json_t *bounds = json_array();

	for (unsigned i = 0; i < HIST_BOUNDS; i++)
		json_array_append_new(bounds, json_real((double)hist_bounds_ns[i] / 1e9));
	return bounds;
}

json_t *
metric_sums_take(struct metric_sums *s, const struct metric_source *live, size_t n)
{
	uint64_t overflow = metric_sums_look(s, live, n);
	json_t *families = json_array(), *v;

	for (const struct metric_family *f = s->families; f != NULL; f = f->next) {
		v = make_family(f, false);
		if (v != NULL)
			json_array_append_new(families, v);
	}
	return json_pack("{s:o, s:o, s:i, s:I, s:I, s:I}", "families", families, "bounds_s",
	    make_bounds(), "series", (int)s->n, "overflow", (json_int_t)overflow, "lost",
	    (json_int_t)s->lost, "conflicts", (json_int_t)s->conflicts);
}

/* ---- For the next binary ---- */

json_t *
metric_sums_save(const struct metric_sums *s)
{
	json_t *families = json_array(), *v;

	for (const struct metric_family *f = s->families; f != NULL; f = f->next) {
		v = make_family(f, true);
		if (v == NULL)
			continue;
		json_object_set_new(v, "generation", json_integer(f->generation));
		json_array_append_new(families, v);
	}
	return json_pack(
	    "{s:o, s:I}", "families", families, "overflow", (json_int_t)s->overflow);
}

/* Appends a text and its NUL to v->text; NULL: it is none, or too long. */
static const char *
put(struct metric_view *v, size_t *n, const json_t *text, size_t max)
{
	const char *p = json_string_value(text);
	size_t length = json_string_length(text);
	char *at = v->text + *n;

	if (p == NULL || length > max || strlen(p) != length)
		return NULL;
	memcpy(at, p, length + 1);
	*n += length + 1;
	return at;
}

static bool
restore_head(struct metric_view *v, const json_t *family)
{
	const char *type = json_string_value(json_object_get(family, "type")), *label;
	json_t *first = json_array_get(json_object_get(family, "series"), 0), *ignored;
	size_t n = 0;

	if (type == NULL)
		return false;
	v->kind =
	    strcmp(type, kinds[METRIC_HISTOGRAM]) == 0 ? METRIC_HISTOGRAM : METRIC_COUNTER;
	v->mode = METRIC_SUM;
	v->n_labels = 0;
	v->name = put(v, &n, json_object_get(family, "name"), METRIC_NAME_MAX);
	v->help = put(v, &n, json_object_get(family, "help"), METRIC_HELP_MAX);
	json_object_foreach(json_object_get(first, "labels"), label, ignored)
	{
		if (v->n_labels == METRIC_LABELS_MAX || strlen(label) > METRIC_LABEL_MAX)
			return false;
		v->label[v->n_labels++] = v->text + n;
		memcpy(v->text + n, label, strlen(label) + 1);
		n += strlen(label) + 1;
	}
	return v->name != NULL && v->help != NULL;
}

static bool
restore_series(struct metric_view *v, const json_t *series)
{
	const json_t *labels = json_object_get(series, "labels"),
		     *counts = json_object_get(series, "counts");
	size_t n = METRIC_HEAD_MAX;

	for (unsigned i = 0; i < v->n_labels; i++) {
		v->value[i] =
		    put(v, &n, json_object_get(labels, v->label[i]), METRIC_VALUE_MAX);
		if (v->value[i] == NULL)
			return false;
	}
	v->tail = (struct str){v->text + METRIC_HEAD_MAX, n - METRIC_HEAD_MAX};
	v->stamp = 0;
	for (unsigned i = 0; i < HIST_CLASSES; i++)
		v->classes[i] = (uint64_t)MAX(
		    json_integer_value(json_array_get(counts, i)), (json_int_t)0);
	v->number = json_number_value(
	    json_object_get(series, v->kind == METRIC_HISTOGRAM ? "sum" : "value"));
	return true;
}

void
metric_sums_restore(struct metric_sums *s, const json_t *from)
{
	json_t *family, *series;
	struct metric_view v;
	size_t i, k;

	s->overflow = (uint64_t)MAX(
	    json_integer_value(json_object_get(from, "overflow")), (json_int_t)0);
	json_array_foreach(json_object_get(from, "families"), i, family)
	{
		unsigned generation =
		    (unsigned)json_integer_value(json_object_get(family, "generation"));

		if (!restore_head(&v, family))
			continue;
		json_array_foreach(json_object_get(family, "series"), k, series)
		{
			if (restore_series(&v, series))
				metric_sums_add(s, &v, generation, true);
		}
	}
}
