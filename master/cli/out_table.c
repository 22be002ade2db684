/* Tables and lists of fields: aligned on a terminal, tab-separated in a pipe.
 * SPDX-License-Identifier: MIT */
#include "master/cli/out.h"
#include "master/cli/text.h"

#define GAP 2
#define FIELD_NAME_MAX 256
#define LAST_LEAST 8 /* the last column is not cut below this */

/* One cell of a human table, cleaned. */
struct cell {
	char text[VALUE_TEXT_MAX];
	unsigned columns;
	enum out_colour colour;
};

static bool
is_number_column(enum value_format f, const json_t *v)
{
	return json_is_number(v) && f != VALUE_TIME;
}

static void
fill_cell(struct cell *c, const json_t *v, enum value_format format)
{
	char raw[VALUE_TEXT_MAX];

	value_text(v, format, raw);
	c->columns = text_clean(raw, c->text, sizeof(c->text), TEXT_ALL_COLUMNS);
	c->colour = format == VALUE_STATE ? out_state_colour(c->text) : OUT_PLAIN;
}

/* Tabs and newlines inside a value would look like the end of a cell. */
static void
put_raw(struct out *o, const json_t *v)
{
	char raw[VALUE_TEXT_MAX], clean[VALUE_TEXT_MAX * 2];

	text_clean(value_raw(v, raw), clean, sizeof(clean), TEXT_ALL_COLUMNS);
	fputs(clean, o->f);
}

static void
put_tsv(struct out *o, const struct out_view *v, const json_t *rows)
{
	size_t i;
	json_t *row;

	for (size_t c = 0; c < v->n_columns; c++)
		fprintf(o->f, "%s%s", c ? "\t" : "", v->columns[c].path);
	fputc('\n', o->f);
	json_array_foreach(rows, i, row)
	{
		for (size_t c = 0; c < v->n_columns; c++) {
			if (c > 0)
				fputc('\t', o->f);
			put_raw(o, value_at(row, v->columns[c].path));
		}
		fputc('\n', o->f);
	}
}

/* A column no row has a value for is not shown. */
static bool
has_values(const json_t *rows, const char *path)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		if (value_at(row, path) != NULL)
			return true;
	}
	return false;
}

static bool
all_numbers(const json_t *rows, const struct out_column *c)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		const json_t *v = value_at(row, c->path);

		if (v != NULL && !is_number_column(c->format, v))
			return false;
	}
	return true;
}

struct layout {
	size_t shown[32]; /* indexes into the columns of the view */
	unsigned width[32];
	bool right[32];
	size_t n;
};

static void
lay_out(struct layout *l, const struct out *o, const struct out_view *v, const json_t *rows)
{
	unsigned total = 0;

	l->n = 0;
	for (size_t c = 0; c < v->n_columns && l->n < ARRAY_LEN(l->shown); c++) {
		const struct out_column *col = &v->columns[c];
		unsigned w = (unsigned)strlen(col->title);
		size_t i;
		json_t *row;

		if (!has_values(rows, col->path))
			continue;
		json_array_foreach(rows, i, row)
		{
			struct cell cell;

			fill_cell(&cell, value_at(row, col->path), col->format);
			w = MAX(w, cell.columns);
		}
		l->right[l->n] = all_numbers(rows, col);
		l->shown[l->n] = c;
		l->width[l->n++] = w;
		total += w + GAP;
	}
	/* The last one (a path, a reason) gives way to the terminal's edge. */
	if (l->n > 0 && total > o->width + GAP) {
		unsigned over = total - GAP - o->width, *last = &l->width[l->n - 1];

		*last = *last > over + LAST_LEAST ? *last - over : MIN(*last, LAST_LEAST);
	}
}

static void
put_cell(struct out *o, const struct cell *c, unsigned width, bool right, bool last)
{
	unsigned pad = width > c->columns ? width - c->columns : 0;
	bool colour = o->colour && c->colour != OUT_PLAIN;

	if (right)
		fprintf(o->f, "%*s", (int)pad, "");
	fprintf(o->f, "%s%s%s", out_sgr(colour, c->colour), c->text,
	    out_sgr(colour, OUT_PLAIN));
	if (!last)
		fprintf(o->f, "%*s", (int)((right ? 0 : pad) + GAP), "");
}

static void
put_row(struct out *o, const struct out_view *v, const struct layout *l, const json_t *row)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct out_column *col = &v->columns[l->shown[i]];
		struct cell c, whole;

		if (row != NULL) {
			fill_cell(&whole, value_at(row, col->path), col->format);
			c = whole;
			if (whole.columns > l->width[i])
				c.columns = text_clean(
				    whole.text, c.text, sizeof(c.text), l->width[i]);
		} else {
			snprintf(c.text, sizeof(c.text), "%s", col->title);
			c.columns = (unsigned)strlen(c.text);
			c.colour = OUT_BOLD;
		}
		put_cell(o, &c, l->width[i], l->right[i], i + 1 == l->n);
	}
	fputc('\n', o->f);
}

void
out_table(struct out *o, const struct out_view *v, const json_t *rows)
{
	struct layout l;
	size_t i;
	json_t *row;

	if (o->mode == OUT_QUIET)
		return;
	if (!o->terminal) {
		put_tsv(o, v, rows);
		return;
	}
	if (json_array_size(rows) == 0) {
		fprintf(o->f, "%s\n", v->empty ? v->empty : "nothing");
		return;
	}
	lay_out(&l, o, v, rows);
	put_row(o, v, &l, NULL);
	json_array_foreach(rows, i, row)
	{
		put_row(o, v, &l, row);
	}
}

static void
put_field(struct out *o, const char *name, unsigned width, const json_t *v,
    enum value_format format)
{
	struct cell c;

	if (!o->terminal) {
		fprintf(o->f, "%s\t", name);
		put_raw(o, v);
		fputc('\n', o->f);
		return;
	}
	fill_cell(&c, v, format);
	fprintf(o->f, "%s%s%s%*s", out_sgr(o->colour, OUT_BOLD), name,
	    out_sgr(o->colour, OUT_PLAIN), (int)(width - strlen(name) + GAP), "");
	put_cell(o, &c, 0, false, true);
	fputc('\n', o->f);
}

void
out_fields(struct out *o, const struct out_view *v, const json_t *object)
{
	unsigned width = 0;

	if (o->mode == OUT_QUIET)
		return;
	for (size_t i = 0; i < v->n_columns; i++)
		width = MAX(width, (unsigned)strlen(v->columns[i].title));
	for (size_t i = 0; i < v->n_columns; i++) {
		const struct out_column *c = &v->columns[i];
		const json_t *at = value_at(object, c->path);

		if (at != NULL)
			put_field(
			    o, o->terminal ? c->title : c->path, width, at, c->format);
	}
}

/* Units by the ends of names, the control protocol's rule. */
static enum value_format
format_by_name(const char *name)
{
	static const struct {
		const char *end;
		enum value_format format;
	} ends[] = {
	    {"_s", VALUE_SECONDS},
	    {"_us", VALUE_MICROS},
	    {"_bytes", VALUE_BYTES},
	};
	size_t n = strlen(name);

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		size_t len = strlen(ends[i].end);

		if (n > len && strcmp(name + n - len, ends[i].end) == 0)
			return ends[i].format;
	}
	if (strcmp(name, "t") == 0 || strcmp(name, "started") == 0 ||
	    strcmp(name, "at") == 0)
		return VALUE_TIME;
	return strcmp(name, "state") == 0 ? VALUE_STATE : VALUE_PLAIN;
}

/* Twice: to measure (print false), then to print. */
static void
walk(struct out *o, const json_t *v, const char *prefix, unsigned *width, bool print)
{
	void *at;

	for (at = json_object_iter((json_t *)v); at != NULL;
	     at = json_object_iter_next((json_t *)v, at)) {
		const json_t *one = json_object_iter_value(at);
		const char *key = json_object_iter_key(at);
		char name[FIELD_NAME_MAX], clean[FIELD_NAME_MAX];

		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "", key);
		if (json_is_object(one) && strlen(name) < FIELD_NAME_MAX / 2) {
			walk(o, one, name, width, print);
			continue;
		}
		text_clean(name, clean, sizeof(clean), TEXT_ALL_COLUMNS);
		if (print)
			put_field(o, clean, *width, one, format_by_name(key));
		else
			*width = MAX(*width, (unsigned)strlen(clean));
	}
}

void
out_any(struct out *o, const json_t *v)
{
	unsigned width = 0;

	if (o->mode == OUT_QUIET)
		return;
	if (!json_is_object(v)) {
		out_json_value(o, v, o->terminal);
		return;
	}
	walk(o, v, "", &width, false);
	walk(o, v, "", &width, true);
}
