/* The application's metrics over all workers, those that are gone included, so that no
 * counter goes backwards. Tables are written by workers and believed as far as they make
 * sense. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"
#include "common/metric.h"

#include <jansson.h>

/* Of all workers, also of dead ones: what goes beyond is counted as lost. */
#define METRIC_SUMS_MAX 4096
#define METRIC_SUMS_TEXT (512 << 10)
#define METRIC_SUMS_BINS 4096

struct metric_amount {
	double number; /* of a histogram: its sum */
	uint64_t stamp;
	uint64_t classes[HIST_CLASSES];
};

struct metric_sum {
	struct metric_sum *next_in_bin, *next; /* owned by the table; next of its family */
	struct metric_family *family;          /* borrowed */
	struct metric_amount gone, now;        /* of dead workers; of all, as last taken */
	unsigned holders;                      /* live workers that have it */
	bool folded;                           /* a dead one had it, and it is no gauge */
	uint32_t tail_n;
	char tail[]; /* the values of its labels, NUL behind each */
};

struct metric_family {
	struct metric_family *next_in_bin,
	    *next;                 /* owned by the table, in order of arrival */
	struct metric_sum *series; /* the newest first */
	enum metric_kind kind;
	enum metric_mode mode;
	unsigned n_labels, generation; /* the generation that said what it is */
	uint64_t salt;                 /* of where its series lie */
	uint32_t head_n;
	char head[]; /* name, help, names of the labels, NUL behind each */
};

struct metric_sums {
	struct metric_family *families, **last; /* owned */
	struct metric_family *family_bins[METRIC_SUMS_BINS];
	struct metric_sum *bins[METRIC_SUMS_BINS];
	uint64_t hash_key[2]; /* values of labels may be a client's */
	size_t n, text;       /* series; bytes of theirs and of families */
	uint64_t overflow;    /* counts of dead workers without a place */
	uint64_t lost;        /* series not taken over: no room, or senseless */
	uint64_t conflicts;   /* series that are another metric elsewhere */
	unsigned told;        /* the last generation whose conflict was logged */
};

struct metric_source {
	const struct metric_table *table; /* borrowed */
	unsigned generation;
};

/* NULL: no memory. */
struct metric_sums *metric_sums_create(void);
void metric_sums_destroy(struct metric_sums *s);
/* A worker was reaped: its counters stay, its gauges go. */
void metric_sums_fold(struct metric_sums *s, const struct metric_source *dead);
/* One series of a live worker, or one that is gone. */
void metric_sums_add(
    struct metric_sums *s, const struct metric_view *v, unsigned generation, bool gone);
/* Brings `now` of every series up to date; live: the workers that were not folded. What
 * they all counted without a place. */
uint64_t metric_sums_look(
    struct metric_sums *s, const struct metric_source *live, size_t n);
/* {"families":[..], "bounds_s":[..], ..}: the answer of metrics.get, after a look. */
json_t *metric_sums_take(struct metric_sums *s, const struct metric_source *live, size_t n);
/* What dead workers left, for the binary that takes over, and back. */
json_t *metric_sums_save(const struct metric_sums *s);
void metric_sums_restore(struct metric_sums *s, const json_t *from);
