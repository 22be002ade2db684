/* Tables of an application's metrics: what is written is read, what is senseless is not.
 * SPDX-License-Identifier: MIT */
#include "common/metric.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct metric_table *table;
static struct metric_view view;

static int
setup(void **state)
{
	(void)state;
	table = calloc(1, sizeof(*table));
	return table == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	free(table);
	return 0;
}

static struct metric_series
declare(enum metric_kind kind, const char *head, size_t n, unsigned n_labels)
{
	struct metric_series s = {.kind = (uint8_t)kind, .n_labels = (uint8_t)n_labels};

	assert_true(metric_put_text(table, head, n, &s.head));
	return s;
}

#define DECLARE(kind, head, n_labels) declare(kind, head, sizeof(head), n_labels)

static void
test_round_trip(void **state)
{
	struct metric_series one =
				 DECLARE(METRIC_COUNTER, "orders_total\0Orders.\0shop", 1),
			     two = DECLARE(METRIC_HISTOGRAM, "took\0", 0);
	int at = metric_add(table, &one, (struct str){"north", 6});

	(void)state;
	assert_int_equal(at, 0);
	assert_int_equal(metric_add(table, &two, STR("")), 1);
	metric_cell_set(&table->series[0].cell[METRIC_CELL_VALUE], 2.5);
	atomic_store(&table->series[1].cell[3], 7);
	metric_cell_set(&table->series[1].cell[METRIC_CELL_SUM], 0.25);
	assert_int_equal(metric_used(table), 2);
	assert_true(metric_read(table, 0, &view));
	assert_string_equal(view.name, "orders_total");
	assert_string_equal(view.help, "Orders.");
	assert_string_equal(view.label[0], "shop");
	assert_string_equal(view.value[0], "north");
	assert_true(view.number == 2.5);
	assert_true(metric_read(table, 1, &view));
	assert_int_equal(view.classes[3], 7);
	assert_true(view.number == 0.25);
}

static void
test_limits(void **state)
{
	static char much[METRIC_TEXT];
	struct metric_series one = DECLARE(METRIC_COUNTER, "c\0", 0);
	struct metric_span span;

	(void)state;
	for (int i = 0; i < METRIC_SERIES; i++)
		assert_int_equal(metric_add(table, &one, STR("")), i);
	assert_int_equal(metric_add(table, &one, STR("")), -1);
	assert_true(metric_put_text(table, much, METRIC_TEXT - table->text_used, &span));
	assert_false(metric_put_text(table, much, 1, &span));
	assert_false(metric_put_text(table, much, SIZE_MAX, &span));
}

static void
test_inherit(void **state)
{
	struct metric_table *to = calloc(1, sizeof(*to));
	struct metric_series c = DECLARE(METRIC_COUNTER, "c\0", 0),
			     g = DECLARE(METRIC_GAUGE, "g\0", 0);

	(void)state;
	assert_non_null(to);
	assert_int_equal(metric_add(table, &c, STR("")), 0);
	assert_int_equal(metric_add(table, &g, STR("")), 1);
	metric_cell_set(&table->series[0].cell[0], 3);
	metric_cell_set(&table->series[1].cell[0], 4);
	metric_inherit(to, table);
	assert_true(metric_read(to, 0, &view));
	assert_string_equal(view.name, "c");
	assert_true(view.number == 0);
	assert_true(metric_read(to, 1, &view));
	assert_true(view.number == 4);
	/* Texts go on behind the inherited ones. */
	assert_int_equal(to->text_used, table->text_used);
	free(to);
}

static void
test_names(void **state)
{
	static const struct {
		const char *text;
		bool metric, label;
	} cases[] = {
	    {"a", true, true},
	    {"_a9", true, true},
	    {"a:b", true, false},
	    {"__a", true, false},
	    {"9a", false, false},
	    {"", false, false},
	    {"a-b", false, false},
	    {"a b", false, false},
	    {"a\n", false, false},
	    {"\xc3\xa4", false, false},
	    {"a\"", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str s = str_of(cases[i].text);

		assert_int_equal(metric_name_is_valid(s), cases[i].metric);
		assert_int_equal(metric_label_is_valid(s), cases[i].label);
	}
}

static void
test_clean(void **state)
{
	char long_one[METRIC_VALUE_MAX + 1], nul[] = "a\0b\x1b\n\t\"";

	(void)state;
	assert_int_equal(metric_clean_value(nul, 7), 7);
	assert_memory_equal(nul, "a?b?\n\t\"", 7);
	memset(long_one, 'x', sizeof(long_one));
	assert_int_equal(metric_clean_value(long_one, sizeof(long_one)), METRIC_VALUE_MAX);
	/* Not in the middle of a character. */
	memcpy(long_one + METRIC_VALUE_MAX - 1, "\xc3\xa4", 2);
	assert_int_equal(
	    metric_clean_value(long_one, sizeof(long_one)), METRIC_VALUE_MAX - 1);
}

/* A worker that went mad writes anything anywhere. */
static void
test_hostile(void **state)
{
	struct metric_series good = DECLARE(METRIC_COUNTER, "c\0h\0l", 1);
	struct metric_series *s = table->series;

	(void)state;
	assert_int_equal(metric_add(table, &good, (struct str){"v", 2}), 0);
	assert_true(metric_read(table, 0, &view));
#define REFUSED(change)                                                                    \
	do {                                                                               \
		struct metric_series kept = *s;                                            \
		(change);                                                                  \
		assert_false(metric_read(table, 0, &view));                                \
		*s = kept;                                                                 \
		assert_true(metric_read(table, 0, &view));                                 \
	} while (0)
	REFUSED(s->kind = METRIC_KINDS);
	REFUSED(s->mode = METRIC_MODES);
	REFUSED(s->n_labels = METRIC_LABELS_MAX + 1);
	REFUSED(s->n_labels = 2);
	REFUSED(s->n_labels = 0);
	REFUSED(s->head.at = METRIC_TEXT);
	REFUSED(s->head.at = UINT32_MAX);
	REFUSED(s->head.n = UINT32_MAX);
	REFUSED(s->head.n--);
	REFUSED(s->head.n = 0);
	REFUSED(s->tail.at = METRIC_TEXT - 1);
	REFUSED(s->tail.n = METRIC_TAIL_MAX + 1);
	REFUSED(s->tail.n = 1);
	REFUSED(metric_cell_set(&s->cell[0], -1));
	REFUSED(metric_cell_set(&s->cell[0], NAN));
	REFUSED(metric_cell_set(&s->cell[0], INFINITY));
	table->text[0] = '-';
	assert_false(metric_read(table, 0, &view));
	s->kind = METRIC_HISTOGRAM;
	table->text[0] = 'c';
	assert_true(metric_read(table, 0, &view));
	atomic_store(&s->cell[0], UINT64_MAX);
	assert_false(metric_read(table, 0, &view));
	atomic_store(&table->used, UINT32_MAX);
	assert_int_equal(metric_used(table), METRIC_SERIES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_inherit, setup, teardown),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_clean),
	    cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
