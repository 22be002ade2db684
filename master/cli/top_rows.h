/* The upper table of `shoalctl top`: what its columns are made from is data; rates are of
 * two replies. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <jansson.h>

#define TOP_ROWS_MAX 1024
#define TOP_COLUMNS_MAX 20
#define TOP_SUMMANDS 4

enum top_view {
	TOP_VIEW_WORKERS,
	TOP_VIEW_ACCOUNTS,
	TOP_VIEW_ROUTES,
	TOP_VIEW_CLIENTS,
	TOP_VIEW_EVENTS,
	TOP_VIEW_HISTOGRAM,
	TOP_VIEWS
};

enum top_source {
	TOP_OF_LIST,  /* the method of the view */
	TOP_OF_STATS, /* stats.get by worker */
	TOP_OF_REQUESTS,
	TOP_SOURCES
};

enum top_format {
	TOP_NAME,
	TOP_STATE,
	TOP_COUNT,
	TOP_RATE,
	TOP_BYTES,
	TOP_MICROS,
	TOP_SECONDS,
	TOP_PERCENT, /* of a part of one */
};

struct top_column {
	const char *title;
	unsigned width;
	unsigned rank; /* the higher ones go first where the terminal is narrow */
	enum top_format format;
	enum top_source source;
	const char *sum[TOP_SUMMANDS]; /* members of a row that are added up */
	const char *instead;           /* where there is none of these */
	const char *part_of;           /* this member; NULL: no part */
	double scale;                  /* 0: none */
	bool per_s;                    /* how fast it grows; with part_of: of its growth */
};

struct top_list {
	const char *method, *rows, *name; /* the reply's array, and what names a row */
	const char *empty;
	json_t *(*params)(void); /* NULL: none */
	const struct top_column *columns;
	size_t n_columns;
};

struct top_row {
	unsigned slot; /* of a worker; else 0 */
	int pid;
	unsigned order;                /* in the reply */
	bool hidden;                   /* by the filter: behind the others */
	char name[256];                /* of a worker: its state */
	double v[TOP_COLUMNS_MAX];     /* as shown; NAN: not known */
	double raw[TOP_COLUMNS_MAX];   /* what v is made from */
	double whole[TOP_COLUMNS_MAX]; /* of part_of */
};

struct top_table {
	struct top_row *rows;     /* owned */
	size_t n, shown;          /* the first of them are those that are shown */
	double seen[TOP_SOURCES]; /* seconds of a steady clock; 0: not yet */
};

/* NULL: this view is no table. */
const struct top_list *top_list_of(enum top_view v);
void top_table_finish(struct top_table *t);
/* Forgets its rows. */
void top_table_clear(struct top_table *t);
/* The reply of the view's method. now: seconds of a steady clock. */
void top_table_list(
    struct top_table *t, const struct top_list *l, const json_t *reply, double now);
/* Of workers: the reply of stats.get by worker, and that of requests.inflight. */
void top_table_stats(
    struct top_table *t, const struct top_list *l, const json_t *reply, double now);
void top_table_requests(struct top_table *t, const struct top_list *l, const json_t *reply);
/* Sorts them by this column, the largest first; -1: as the reply had them. Only those that
 * contain `filter` are shown. */
void top_table_arrange(struct top_table *t, int column, const char *filter);
const char *top_row_text(const struct top_row *r, const struct top_column *c, size_t column,
    char *buf, size_t max);
/* Of the columns those that fit, as bits: the lower ranks, of equal ones the left. */
uint64_t top_columns_fitting(const struct top_list *l, unsigned width);
