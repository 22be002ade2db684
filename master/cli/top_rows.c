/* Columns of the upper table of `shoalctl top`, and how rows come from replies.
 * SPDX-License-Identifier: MIT */
#include "master/cli/top_rows.h"

#include "master/cli/value.h"

#include <math.h>
#include <stdio.h>

static const struct top_column workers[] = {
    {"SLOT", 4, 1, TOP_COUNT, .sum = {"slot"}},
    {"PID", 7, 1, TOP_COUNT, .sum = {"pid"}},
    {"GEN", 4, 3, TOP_COUNT, .sum = {"generation"}},
    {"STATE", 8, 1, TOP_STATE, .sum = {NULL}},
    {"AGE", 6, 2, TOP_SECONDS, .sum = {"age_s"}},
    {"REQ/s", 8, 1, TOP_RATE, .sum = {"requests"}, .per_s = true},
    {"INFL", 5, 1, TOP_COUNT, .sum = {"in_flight"}},
    {"CONN", 5, 3, TOP_COUNT, .sum = {"connections"}},
    {"P50", 7, 3, TOP_MICROS, .source = TOP_OF_STATS, .sum = {"latency.p50"}},
    {"P99", 7, 3, TOP_MICROS, .source = TOP_OF_STATS, .sum = {"latency.p99"}},
    {"OUT/s", 7, 3, TOP_BYTES, .source = TOP_OF_STATS,
	.sum = {"totals.out_head", "totals.out_body", "totals.out_framing",
	    "totals.out_tls"},
	.per_s = true},
    {"IN/s", 7, 4, TOP_BYTES, .source = TOP_OF_STATS,
	.sum = {"totals.in_head", "totals.in_body", "totals.in_framing", "totals.in_tls"},
	.per_s = true},
    {"ERR%", 5, 3, TOP_PERCENT, .source = TOP_OF_STATS, .sum = {"totals.responses_5xx"},
	.part_of = "totals.requests", .per_s = true},
    {"LAG", 7, 4, TOP_MICROS, .sum = {"loop_lag_us"}},
    {"GIL%", 5, 5, TOP_PERCENT, .source = TOP_OF_STATS, .sum = {"totals.gil_wait_us"},
	.scale = 1e-6, .per_s = true},
    {"CPU%", 5, 1, TOP_PERCENT, .sum = {"cpu_s"}, .per_s = true},
    {"MEM", 7, 1, TOP_BYTES, .sum = {"pss_bytes"}, .instead = "rss_bytes"},
    {"RESTARTS", 8, 2, TOP_COUNT, .sum = {"restarts"}},
    {"OLDEST", 7, 4, TOP_SECONDS, .source = TOP_OF_REQUESTS},
};

static const struct top_column accounts[] = {
    {"ACCOUNT", 30, 1, TOP_NAME, .sum = {NULL}},
    {"REQUESTS", 10, 1, TOP_COUNT, .sum = {"requests"}},
    {"OUT/s", 8, 1, TOP_BYTES, .sum = {"out_head", "out_body", "out_framing", "out_tls"},
	.per_s = true},
    {"SENT", 8, 1, TOP_BYTES, .sum = {"out_head", "out_body", "out_framing"}},
    {"UNDELIVERED", 11, 1, TOP_BYTES, .sum = {"out_undelivered"}},
    {"5XX", 8, 1, TOP_COUNT, .sum = {"err5xx"}},
    {"ABORTED", 8, 2, TOP_COUNT, .sum = {"aborted"}},
    {"RECEIVED", 8, 3, TOP_BYTES, .sum = {"in_head", "in_body", "in_framing"}},
    {"THROTTLED", 9, 3, TOP_COUNT, .sum = {"throttled"}},
};

static const struct top_column routes[] = {
    {"ROUTE", 40, 1, TOP_NAME, .sum = {NULL}},
    {"REQUESTS", 10, 1, TOP_COUNT, .sum = {"requests"}},
    {"REQ/s", 8, 2, TOP_RATE, .sum = {"requests"}, .per_s = true},
    {"5XX", 8, 1, TOP_COUNT, .sum = {"errors"}},
    {"P50", 8, 1, TOP_MICROS, .sum = {"p50_us"}},
    {"P99", 8, 1, TOP_MICROS, .sum = {"p99_us"}},
    {"TIME", 8, 3, TOP_SECONDS, .sum = {"sum_s"}},
};

/* Requests are counted in a table of limited size: at most EXCESS too many. */
static const struct top_column clients[] = {
    {"CLIENT", 40, 1, TOP_NAME, .sum = {NULL}},
    {"REQUESTS", 10, 1, TOP_COUNT, .sum = {"requests"}},
    {"EXCESS", 8, 3, TOP_COUNT, .sum = {"error"}},
    {"REQ/s", 8, 1, TOP_RATE, .sum = {"requests"}, .per_s = true},
    {"SENT", 8, 1, TOP_BYTES, .sum = {"sent_bytes"}},
    {"ERRORS", 8, 2, TOP_COUNT, .sum = {"errors"}},
};

static json_t *
ask_for_clients(void)
{
	return json_pack("{s:s}", "by", "client");
}

#define COLUMNS(c) .columns = (c), .n_columns = ARRAY_LEN(c)

static const struct top_list lists[TOP_VIEWS] = {
    [TOP_VIEW_WORKERS] = {"workers.list", "workers", "state", "no workers",
	COLUMNS(workers)},
    [TOP_VIEW_ACCOUNTS] = {"accounts.list", "accounts", "account", "none",
	COLUMNS(accounts)},
    [TOP_VIEW_ROUTES] = {"routes.list", "routes", "route",
	"none: the application sets no environ[\"shoal.route\"]", COLUMNS(routes)},
    [TOP_VIEW_CLIENTS] = {"top.list", "entries", "key", "none yet", ask_for_clients,
	COLUMNS(clients)},
};

_Static_assert(ARRAY_LEN(workers) <= TOP_COLUMNS_MAX, "a row has room for all columns");

const struct top_list *
top_list_of(enum top_view v)
{
	return lists[v].method != NULL ? &lists[v] : NULL;
}

void
top_table_finish(struct top_table *t)
{
	free(t->rows);
	*t = (struct top_table){.rows = NULL};
}

void
top_table_clear(struct top_table *t)
{
	t->n = t->shown = 0;
	memset(t->seen, 0, sizeof(t->seen));
}

static bool
is_same(const struct top_row *a, const struct top_row *b)
{
	return a->slot == b->slot && a->pid == b->pid &&
	       (a->pid != 0 || strcmp(a->name, b->name) == 0);
}

static const struct top_row *
find_same(const struct top_table *t, const struct top_row *r)
{
	for (size_t i = 0; i < t->n; i++)
		if (is_same(&t->rows[i], r))
			return &t->rows[i];
	return NULL;
}

static double
sum_of(const struct top_column *c, const json_t *v)
{
	double sum = NAN;

	for (size_t i = 0; i < TOP_SUMMANDS && c->sum[i] != NULL; i++) {
		double one = value_number(v, c->sum[i], NAN);

		if (!isnan(one))
			sum = isnan(sum) ? one : sum + one;
	}
	if (isnan(sum) && c->instead != NULL)
		sum = value_number(v, c->instead, NAN);
	return c->scale != 0 ? sum * c->scale : sum;
}

/* was: the same row before, NULL: none; elapsed: seconds since. */
static void
fill_column(struct top_row *r, size_t i, const struct top_column *c, const json_t *v,
    const struct top_row *was, double elapsed)
{
	double grown, whole;

	r->raw[i] = sum_of(c, v);
	r->whole[i] = c->part_of ? value_number(v, c->part_of, NAN) : elapsed;
	if (!c->per_s) {
		r->v[i] = c->part_of ? r->raw[i] / r->whole[i] : r->raw[i];
		return;
	}
	r->v[i] = NAN;
	if (was == NULL || !(elapsed > 0))
		return;
	grown = r->raw[i] - was->raw[i];
	if (isnan(grown))
		return;
	whole = c->part_of ? r->whole[i] - was->whole[i] : elapsed;
	/* Nothing of nothing is nothing. */
	r->v[i] = whole > 0 ? MAX(grown, 0) / whole : grown;
}

static void
fill_row(struct top_row *r, const struct top_list *l, enum top_source source,
    const json_t *v, const struct top_row *was, double elapsed)
{
	for (size_t i = 0; i < l->n_columns; i++) {
		const struct top_column *c = &l->columns[i];

		if (c->source == source)
			fill_column(r, i, c, v, was, elapsed);
	}
}

static double
take_elapsed(struct top_table *t, enum top_source source, double now)
{
	const double elapsed = t->seen[source] > 0 ? now - t->seen[source] : 0;

	t->seen[source] = now;
	return elapsed;
}

void
top_table_list(
    struct top_table *t, const struct top_list *l, const json_t *reply, double now)
{
	const double elapsed = take_elapsed(t, TOP_OF_LIST, now);
	const json_t *list = value_at(reply, l->rows), *one;
	struct top_row *rows = calloc(TOP_ROWS_MAX, sizeof(*rows));
	size_t n = 0, i;

	if (rows == NULL)
		return;
	json_array_foreach((json_t *)list, i, one)
	{
		struct top_row *r = &rows[n];
		const struct top_row *was;

		if (n == TOP_ROWS_MAX)
			break;
		r->order = (unsigned)n;
		r->slot = (unsigned)value_number(one, "slot", 0);
		r->pid = (int)value_number(one, "pid", 0);
		snprintf(r->name, sizeof(r->name), "%s", value_string(one, l->name, ""));
		was = find_same(t, r);
		for (size_t c = 0; c < l->n_columns; c++)
			r->v[c] = r->raw[c] = r->whole[c] = NAN;
		if (was != NULL) {
			memcpy(r->v, was->v, sizeof(r->v));
			memcpy(r->raw, was->raw, sizeof(r->raw));
			memcpy(r->whole, was->whole, sizeof(r->whole));
		}
		fill_row(r, l, TOP_OF_LIST, one, was, elapsed);
		n++;
	}
	free(t->rows);
	t->rows = rows;
	t->n = t->shown = n;
}

void
top_table_stats(
    struct top_table *t, const struct top_list *l, const json_t *reply, double now)
{
	const double elapsed = take_elapsed(t, TOP_OF_STATS, now);
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)value_at(reply, "workers"), i, one)
	{
		const struct top_row id = {
		    .slot = (unsigned)value_number(one, "slot", 0),
		    .pid = (int)value_number(one, "pid", 0),
		};
		struct top_row *r = (struct top_row *)find_same(t, &id);

		if (r != NULL) {
			const struct top_row was = *r;

			fill_row(r, l, TOP_OF_STATS, one, &was, elapsed);
		}
	}
}

void
top_table_requests(struct top_table *t, const struct top_list *l, const json_t *reply)
{
	json_t *one;
	size_t i;

	for (size_t c = 0; c < l->n_columns; c++) {
		if (l->columns[c].source != TOP_OF_REQUESTS)
			continue;
		for (size_t k = 0; k < t->n; k++)
			t->rows[k].v[c] = NAN;
		json_array_foreach((json_t *)value_at(reply, "requests"), i, one)
		{
			const double slot = value_number(one, "worker", -1);
			const double age = value_number(one, "age_s", 0);

			for (size_t k = 0; k < t->n; k++)
				if ((double)t->rows[k].slot == slot &&
				    !(t->rows[k].v[c] >= age))
					t->rows[k].v[c] = age;
		}
	}
}

static bool
matches(const struct top_row *r, const char *filter)
{
	char text[sizeof(r->name) + 32];

	if (r->pid != 0)
		snprintf(text, sizeof(text), "%u %d %s", r->slot, r->pid, r->name);
	else
		snprintf(text, sizeof(text), "%s", r->name);
	return strcasestr(text, filter) != NULL;
}

/* Unknown ones last; what is equal stays in order. */
static int
compare(const void *left, const void *right, void *column)
{
	const struct top_row *l = left, *r = right;
	const int c = *(const int *)column;

	if (l->hidden != r->hidden)
		return l->hidden - r->hidden;
	if (c >= 0 && isnan(l->v[c]) != isnan(r->v[c]))
		return isnan(l->v[c]) ? 1 : -1;
	if (c >= 0 && l->v[c] < r->v[c])
		return 1;
	if (c >= 0 && l->v[c] > r->v[c])
		return -1;
	return l->order < r->order ? -1 : 1;
}

void
top_table_arrange(struct top_table *t, int column, const char *filter)
{
	t->shown = 0;
	for (size_t i = 0; i < t->n; i++) {
		t->rows[i].hidden = *filter != '\0' && !matches(&t->rows[i], filter);
		t->shown += !t->rows[i].hidden;
	}
	if (t->n > 0)
		qsort_r(t->rows, t->n, sizeof(*t->rows), compare, &column);
}

const char *
top_row_text(const struct top_row *r, const struct top_column *c, size_t column, char *buf,
    size_t max)
{
	const double v = r->v[column];

	if (c->format == TOP_NAME || c->format == TOP_STATE)
		snprintf(buf, max, "%s", r->name);
	else if (isnan(v))
		snprintf(buf, max, "-");
	else if (c->format == TOP_BYTES)
		value_bytes(v, buf, max);
	else if (c->format == TOP_MICROS)
		value_micros(v, buf, max);
	else if (c->format == TOP_SECONDS)
		value_seconds(v, buf, max);
	else if (c->format == TOP_PERCENT)
		snprintf(buf, max, "%.*f", v > 0 && v < 0.1 ? 1 : 0, v * 100);
	else
		snprintf(buf, max, "%.*f", c->format == TOP_RATE ? 1 : 0, v);
	return buf;
}

uint64_t
top_columns_fitting(const struct top_list *l, unsigned width)
{
	unsigned used = 0;
	uint64_t fit = 0;

	for (unsigned rank = 1; rank <= 5; rank++)
		for (size_t i = 0; i < l->n_columns; i++) {
			const struct top_column *c = &l->columns[i];

			if (c->rank != rank || (used + c->width + 1 > width && rank > 1))
				continue;
			used += c->width + 1;
			fit |= UINT64_C(1) << i;
		}
	return fit;
}
