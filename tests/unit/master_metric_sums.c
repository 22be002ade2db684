/* An application's metrics over workers that come, die and disagree.
 * SPDX-License-Identifier: MIT */
#include "master/metric_sums.h"

#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct metric_sums *sums;
static struct metric_table *table[2];
static unsigned logged;

static void
on_line(const char *line, size_t n)
{
	(void)line;
	(void)n;
	logged++;
}

static int
setup(void **state)
{
	(void)state;
	logged = 0;
	log_set_sink(on_line);
	sums = metric_sums_create();
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		table[i] = calloc(1, sizeof(struct metric_table));
	return sums == NULL || table[0] == NULL || table[1] == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	metric_sums_destroy(sums);
	free(table[0]);
	free(table[1]);
	return 0;
}

/* One series of a worker: a label l when there is a value for it. */
static void
put(unsigned worker, enum metric_kind kind, enum metric_mode mode, const char *name,
    const char *value, double number)
{
	struct metric_table *t = table[worker];
	struct metric_series s = {.kind = (uint8_t)kind, .mode = (uint8_t)mode};
	char head[100];
	size_t n = (size_t)snprintf(head, sizeof(head), "%s%chelp%cl", name, 0, 0) + 1;
	int at;

	s.n_labels = value != NULL;
	assert_true(metric_put_text(t, head, value ? n : n - 2, &s.head));
	at = metric_add(
	    t, &s, value != NULL ? (struct str){value, strlen(value) + 1} : STR(""));
	assert_true(at >= 0);
	metric_cell_set(
	    &t->series[at].cell[kind == METRIC_HISTOGRAM ? METRIC_CELL_SUM : 0], number);
	if (kind == METRIC_GAUGE)
		atomic_store(&t->series[at].cell[METRIC_CELL_STAMP], (uint64_t)number);
	if (kind == METRIC_HISTOGRAM)
		atomic_store(&t->series[at].cell[4], 1);
}

static json_t *
take(unsigned workers, unsigned generation)
{
	const struct metric_source live[] = {
	    {table[0], generation}, {table[1], generation}};

	return metric_sums_take(sums, live, workers);
}

static void
forget(unsigned worker)
{
	memset(table[worker], 0, sizeof(struct metric_table));
}

static void
fold(unsigned worker, unsigned generation)
{
	metric_sums_fold(sums, &(struct metric_source){table[worker], generation});
	forget(worker);
}

static json_t *
find(json_t *answer, const char *name, const char *value)
{
	json_t *family, *series;
	size_t i, k;

	json_array_foreach(json_object_get(answer, "families"), i, family)
	{
		if (strcmp(json_string_value(json_object_get(family, "name")), name) != 0)
			continue;
		json_array_foreach(json_object_get(family, "series"), k, series)
		{
			const char *l = json_string_value(
			    json_object_get(json_object_get(series, "labels"), "l"));

			if (value == NULL ? l == NULL : l != NULL && strcmp(l, value) == 0)
				return series;
		}
	}
	return NULL;
}

/* -1: it is not there. */
static double
number_in(json_t *answer, const char *name, const char *value, const char *member)
{
	json_t *series = find(answer, name, value);
	double v = series ? json_number_value(json_object_get(series, member)) : -1;

	json_decref(answer);
	return v;
}

#define NUMBER(answer, name, value) number_in(answer, name, value, "value")

static void
test_never_backwards(void **state)
{
	(void)state;
	put(0, METRIC_COUNTER, METRIC_SUM, "c", "a", 3);
	put(1, METRIC_COUNTER, METRIC_SUM, "c", "a", 4);
	put(1, METRIC_HISTOGRAM, METRIC_SUM, "h", NULL, 0.5);
	assert_true(NUMBER(take(2, 1), "c", "a") == 7);
	assert_true(NUMBER(take(2, 1), "c", "a") == 7);
	fold(1, 1);
	assert_true(NUMBER(take(1, 1), "c", "a") == 7);
	put(1, METRIC_COUNTER, METRIC_SUM, "c", "a", 1);
	assert_true(NUMBER(take(2, 1), "c", "a") == 8);
	assert_true(number_in(take(2, 1), "h", NULL, "sum") == 0.5);
}

static void
test_gauges(void **state)
{
	static const struct {
		const char *name;
		enum metric_mode mode;
		double both, rest;
	} cases[] = {{"s", METRIC_SUM, 12, 5}, {"l", METRIC_LAST, 7, 5},
	    {"n", METRIC_LEAST, 5, 5}, {"m", METRIC_MOST, 7, 5}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		put(0, METRIC_GAUGE, cases[i].mode, cases[i].name, NULL, 5);
		put(1, METRIC_GAUGE, cases[i].mode, cases[i].name, NULL, 7);
	}
	/* Never set: it is no least one. */
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_true(NUMBER(take(2, 1), cases[i].name, NULL) == cases[i].both);
	atomic_store(&table[1]->series[2].cell[METRIC_CELL_STAMP], 0);
	metric_cell_set(&table[1]->series[2].cell[0], 0);
	assert_true(NUMBER(take(2, 1), "n", NULL) == 5);
	fold(1, 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_true(NUMBER(take(1, 1), cases[i].name, NULL) == cases[i].rest);
	fold(0, 1);
	assert_true(NUMBER(take(0, 1), "s", NULL) == -1);
	assert_int_equal(sums->n, 0);
}

static void
test_conflict(void **state)
{
	(void)state;
	put(0, METRIC_COUNTER, METRIC_SUM, "c", NULL, 3);
	put(1, METRIC_GAUGE, METRIC_SUM, "c", NULL, 100);
	assert_true(number_in(take(2, 1), "c", NULL, "value") == 3);
	assert_int_equal(sums->conflicts, 1);
	assert_int_equal(logged, 1);
	json_decref(take(2, 1));
	assert_int_equal(logged, 1);
	/* A new generation knows better, and what comes late of the old one is nothing. */
	forget(0);
	put(0, METRIC_COUNTER, METRIC_SUM, "c", "x", 1);
	assert_true(number_in(take(1, 2), "c", "x", "value") == 1);
	fold(1, 1);
	forget(1);
	put(1, METRIC_COUNTER, METRIC_SUM, "c", NULL, 8);
	fold(1, 1);
	assert_true(NUMBER(take(1, 2), "c", NULL) == -1);
	assert_true(NUMBER(take(1, 2), "c", "x") == 1);
}

static void
test_bounded(void **state)
{
	char value[20];

	(void)state;
	for (unsigned life = 0; life < 6; life++) {
		for (unsigned i = 0; i < METRIC_SERIES; i++) {
			snprintf(value, sizeof(value), "v%u-%u", life, i);
			put(0, METRIC_COUNTER, METRIC_SUM, "c", value, 1);
			fold(0, 1);
		}
	}
	assert_int_equal(sums->n, METRIC_SUMS_MAX);
	assert_true(sums->lost > 0);
	assert_true(NUMBER(take(0, 1), "c", "v0-0") == 1);
}

static void
test_hostile_text(void **state)
{
	json_t *v;

	(void)state;
	put(0, METRIC_COUNTER, METRIC_SUM, "c", "\xff\xfe", 1);
	put(0, METRIC_COUNTER, METRIC_SUM, "c", "\"\n\\", 2);
	table[0]->series[1].head = table[0]->series[0].head;
	v = take(1, 1);
	assert_non_null(v);
	assert_int_equal(json_array_size(json_object_get(
			     json_array_get(json_object_get(v, "families"), 0), "series")),
	    1);
	assert_true(NUMBER(v, "c", "\"\n\\") == 2);
}

static void
test_next_binary(void **state)
{
	struct metric_sums *next = metric_sums_create();
	json_t *saved, *again;

	(void)state;
	put(0, METRIC_COUNTER, METRIC_SUM, "c", "a", 3);
	put(0, METRIC_HISTOGRAM, METRIC_SUM, "h", NULL, 0.5);
	put(0, METRIC_GAUGE, METRIC_SUM, "g", NULL, 9);
	atomic_store(&table[0]->overflow, 5);
	fold(0, 3);
	saved = metric_sums_save(sums);
	metric_sums_restore(next, saved);
	again = metric_sums_save(next);
	assert_true(json_equal(saved, again));
	assert_int_equal(json_array_size(json_object_get(again, "families")), 2);
	assert_int_equal(next->overflow, 5);
	json_decref(saved);
	json_decref(again);
	/* Something else entirely changes nothing. */
	saved = json_pack("{s:[{s:s}, {s:s, s:s, s:s, s:[{s:{s:i}}]}]}", "families", "name",
	    "x", "name", "y", "type", "counter", "help", "", "series", "labels", "l", 1);
	metric_sums_restore(next, saved);
	metric_sums_restore(next, NULL);
	assert_int_equal(next->n, 2);
	json_decref(saved);
	metric_sums_destroy(next);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_never_backwards, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_gauges, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_conflict, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hostile_text, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_next_binary, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
