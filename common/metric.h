/* The application's own metrics of one worker, in its shared segment: the worker writes,
 * the master reads and believes nothing. One writer: what counts holds the GIL. Series are
 * only ever added, so a place once given stays. SPDX-License-Identifier: MIT */
#pragma once

#include "common/hist.h"

#include <stdatomic.h>

#define METRIC_SERIES 1024
#define METRIC_TEXT 131072 /* bytes of all names, helps and label values together */
#define METRIC_NAME_MAX 128
#define METRIC_HELP_MAX 300
#define METRIC_LABELS_MAX 8
#define METRIC_VALUE_MAX 128 /* bytes of a label's value */
/* Name, help and label names, and the values, each with its NUL. */
#define METRIC_HEAD_MAX (METRIC_NAME_MAX + METRIC_HELP_MAX + METRIC_LABELS_MAX * 65 + 2)
#define METRIC_TAIL_MAX (METRIC_LABELS_MAX * (METRIC_VALUE_MAX + 1))
#define METRIC_LABEL_MAX 64

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_KINDS };

/* What a gauge of several workers is. */
enum metric_mode { METRIC_SUM, METRIC_LAST, METRIC_LEAST, METRIC_MOST, METRIC_MODES };

/* Cells: bits of a double, but for the stamp and the classes. */
enum { METRIC_CELL_VALUE, METRIC_CELL_STAMP };
#define METRIC_CELL_SUM HIST_CLASSES /* of a histogram, behind its classes */
#define METRIC_CELLS (HIST_CLASSES + 1)

struct metric_span {
	uint32_t at, n;
};

struct metric_series {
	uint8_t kind, mode, n_labels;
	struct metric_span head; /* name, help, names of labels; NUL behind each */
	struct metric_span tail; /* values of the labels, the same */
	_Atomic uint64_t cell[METRIC_CELLS];
};

struct metric_table {
	_Atomic uint32_t used;     /* series that are whole */
	uint32_t text_used;        /* the writer's */
	_Atomic uint64_t overflow; /* counts that found no place */
	struct metric_series series[METRIC_SERIES];
	char text[METRIC_TEXT];
};

/* ---- The writer ---- */

/* Whether Prometheus takes it: [a-zA-Z_:][a-zA-Z0-9_:]*; of a label without the colon, and
 * not with two underscores in front. */
bool metric_name_is_valid(struct str s);
bool metric_label_is_valid(struct str s);
/* Copies n bytes in; false: no room. */
NODISCARD bool metric_put_text(
    struct metric_table *t, const char *p, size_t n, struct metric_span *to);
/* A series of zeros; like: its kind, mode, n_labels and head. -1: no room. */
int metric_add(struct metric_table *t, const struct metric_series *like, struct str tail);
/* Into a fresh table what a process that forks workers has declared: gauges keep their
 * value, the rest begins at 0. Places stay the same. */
void metric_inherit(struct metric_table *to, const struct metric_table *from);
/* Makes a label's value what a table keeps, in place: no NUL, no controls but tab and line
 * feed, at most METRIC_VALUE_MAX bytes, cut between characters. The new length. */
size_t metric_clean_value(char *p, size_t n);

static inline double
metric_cell_get(const _Atomic uint64_t *cell)
{
	uint64_t bits = atomic_load_explicit(cell, memory_order_relaxed);
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

static inline void
metric_cell_set(_Atomic uint64_t *cell, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	atomic_store_explicit(cell, bits, memory_order_relaxed);
}

/* ---- The reader ---- */

/* One series, copied and checked; strings are not yet known to be UTF-8. */
struct metric_view {
	enum metric_kind kind;
	enum metric_mode mode;
	unsigned n_labels;
	const char *name, *help; /* into text */
	const char *label[METRIC_LABELS_MAX], *value[METRIC_LABELS_MAX];
	struct str tail; /* the values as one */
	double number;   /* of a counter at least 0; of a histogram its sum */
	uint64_t stamp;  /* of METRIC_LAST: when it was set, CLOCK_BOOTTIME; 0: never was */
	uint64_t classes[HIST_CLASSES];
	char text[METRIC_HEAD_MAX + METRIC_TAIL_MAX];
};

/* How many there are to read. */
uint32_t metric_used(const struct metric_table *t);
/* false: it makes no sense. */
bool metric_read(const struct metric_table *t, uint32_t index, struct metric_view *v);
