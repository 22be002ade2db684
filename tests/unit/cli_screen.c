/* The screen of `shoalctl top`: every row fits, nothing but text and known escapes comes
 * out, whatever the server says. SPDX-License-Identifier: MIT */
#include "master/cli/text.h"
#include "master/cli/top_screen.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROWS_MAX 400
#define ROW_TEXT 4096
/* Erasing, a title, C1 codes, writing from right to left, bytes that are not UTF-8. */
#define HOSTILE "\033[2J\033]0;x\007\r\n\177\302\23331m\342\200\256evil\377\376\t漢字"

/* A frame taken apart by the few rules it may use. */
struct frame {
	char rows[ROWS_MAX][ROW_TEXT];
	unsigned columns[ROWS_MAX];
	unsigned n;
};

static const char *
skip_escape(const char *p, bool first)
{
	assert_int_equal(p[1], '[');
	if (p[2] == 'H') {
		assert_true(first);
		return p + 3;
	}
	if (p[2] == 'K')
		return p + 3;
	p += 2 + strspn(p + 2, "0123456789;");
	assert_int_equal(*p, 'm');
	return p + 1;
}

static void
take_apart(const char *bytes, struct frame *f)
{
	const char *p = bytes;
	size_t at = 0;

	memset(f, 0, sizeof(*f));
	while (*p != '\0') {
		uint32_t cp;
		unsigned len;

		if (*p == '\033') {
			p = skip_escape(p, p == bytes);
		} else if (p[0] == '\r' && p[1] == '\n') {
			f->n++;
			assert_true(f->n < ROWS_MAX);
			at = 0;
			p += 2;
		} else {
			len = text_decode(p, strlen(p), &cp);
			assert_true(text_columns(cp) >= 0);
			f->columns[f->n] += (unsigned)text_columns(cp);
			assert_true(at + len < ROW_TEXT);
			memcpy(f->rows[f->n] + at, p, len);
			at += len;
			p += len;
		}
	}
	f->n++;
}

static struct top_model *
make_model(unsigned workers, const char *text)
{
	struct top_model *m = calloc(1, sizeof(*m));
	json_t *list = json_array(), *r;

	for (unsigned i = 0; i < workers; i++)
		json_array_append_new(
		    list, json_pack("{s:i, s:i, s:s, s:i, s:i, s:f}", "slot", i, "pid",
			      9000 + i, "state", "busy", "requests", 100 * i, "generation",
			      42, "rss_bytes", 88080384.0));
	r = json_pack("{s:o}", "workers", list);
	top_model_init(m);
	top_model_list(m, TOP_VIEW_WORKERS, r, 10);
	json_decref(r);
	snprintf(m->instance, sizeof(m->instance), "%s", text);
	snprintf(m->state, sizeof(m->state), "running");
	m->generation = 42;
	m->target = m->ready = workers;
	for (unsigned i = 0; i < 5; i++) {
		struct top_request *q = &m->requests[m->n_requests++];

		snprintf(q->path, sizeof(q->path), "/%s", text);
		snprintf(q->method, sizeof(q->method), "GET");
		snprintf(q->client, sizeof(q->client), "10.0.0.7");
		q->age_s = 12.4;
	}
	return m;
}

/* The replies that fill the other two tables. */
static void
add_lists(struct top_model *m, unsigned rows)
{
	json_t *accounts = json_array(), *routes = json_array(), *r;

	for (unsigned i = 0; i < rows; i++) {
		json_array_append_new(
		    accounts, json_pack("{s:s, s:f}", "account", "\033[2J\302\2331m\t漢字",
				  "requests", 1e15));
		json_array_append_new(routes,
		    json_pack("{s:s, s:s}", "route", "\033[2J\r\n漢字", "errors", "none"));
	}
	r = json_pack("{s:o, s:o}", "accounts", accounts, "routes", routes);
	top_model_list(m, TOP_VIEW_ACCOUNTS, r, 10);
	top_model_list(m, TOP_VIEW_ROUTES, r, 10);
	if (rows == 1)
		top_model_refuse(m, TOP_VIEW_ROUTES, HOSTILE);
	json_decref(r);
}

static void
draw(const struct top_model *m, unsigned width, unsigned height, struct frame *f)
{
	size_t n;
	char *bytes = top_screen_draw(m, width, height, &n);

	assert_non_null(bytes);
	assert_int_equal(n, strlen(bytes));
	take_apart(bytes, f);
	assert_int_equal(f->n, height);
	for (unsigned i = 0; i < f->n; i++)
		assert_true(f->columns[i] <= width);
	free(bytes);
}

static struct frame frame;

static void
test_every_size(void **state)
{
	static const unsigned workers[] = {0, 1, 64, 256};
	static const unsigned widths[] = {1, 2, 20, 79, 80, 81, 132, 300};
	static const unsigned heights[] = {1, 2, 5, 6, 7, 10, 24, 25, 60, 300};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(workers); i++) {
		struct top_model *m = make_model(workers[i], HOSTILE);

		add_lists(m, workers[i]);
		m->colour = i % 2 == 0;
		for (size_t w = 0; w < ARRAY_LEN(widths); w++)
			for (size_t h = 0; h < ARRAY_LEN(heights); h++)
				for (unsigned pane = 0; pane < 3; pane++) {
					top_model_look_at(
					    m, (enum top_view)((pane + w + h) % TOP_VIEWS));
					top_model_sort(m);
					m->typing = h % 2 == 0;
					free(m->text);
					m->text = strdup(HOSTILE "\n\n" HOSTILE);
					m->pane = (enum top_pane)pane;
					draw(m, widths[w], heights[h], &frame);
				}
		top_model_finish(m);
		free(m);
	}
}

static void
test_content(void **state)
{
	struct top_model *m = make_model(2, "shop");

	(void)state;
	draw(m, 80, 24, &frame);
	assert_non_null(strstr(frame.rows[0], "shop  generation 42  running"));
	assert_non_null(strstr(frame.rows[0], "workers 2/2"));
	assert_non_null(strstr(frame.rows[2], "SLOT     PID"));
	assert_non_null(strstr(frame.rows[2], "RESTARTS"));
	assert_non_null(strstr(frame.rows[3], "    0    9000   42 busy"));
	assert_non_null(strstr(frame.rows[3], "84.0M"));
	assert_non_null(strstr(frame.rows[5], "IN FLIGHT"));
	assert_non_null(strstr(frame.rows[6], "GET /shop"));
	assert_non_null(strstr(frame.rows[23], "q quit"));
	snprintf(m->question, sizeof(m->question), "Reload?");
	draw(m, 80, 24, &frame);
	assert_non_null(strstr(frame.rows[23], "Reload? [y/n]"));
	top_model_finish(m);
	free(m);
}

static bool
shows_slot(unsigned slot)
{
	char text[32];

	snprintf(text, sizeof(text), "%5u    %4u", slot, 9000 + slot);
	for (unsigned i = 0; i < frame.n; i++)
		if (strncmp(frame.rows[i], text, strlen(text)) == 0)
			return true;
	return false;
}

static void
test_selected_worker_is_shown(void **state)
{
	struct top_model *m = make_model(256, "shop");

	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		assert_int_equal(top_model_selected(m)->slot, i);
		draw(m, 80, 24, &frame);
		assert_true(shows_slot(i));
		top_model_move(m, 1);
	}
	assert_int_equal(top_model_selected(m)->slot, 255);
	top_model_move(m, -300);
	assert_int_equal(top_model_selected(m)->slot, 0);
	top_model_finish(m);
	free(m);
}

/* A value of the first worker, by its column's title. */
static double
value_of(const struct top_model *m, const char *title)
{
	const struct top_list *l = top_list_of(TOP_VIEW_WORKERS);

	for (size_t i = 0; i < l->n_columns; i++)
		if (strcmp(l->columns[i].title, title) == 0)
			return m->tables[TOP_VIEW_WORKERS].rows[0].v[i];
	fail_msg("no column %s", title);
	return NAN;
}

static void
take(void (*give)(struct top_model *, const json_t *, double), struct top_model *m,
    const char *text, double now)
{
	json_t *r = json_loads(text, 0, NULL);

	assert_non_null(r);
	give(m, r, now);
	json_decref(r);
}

static void
give_workers(struct top_model *m, const json_t *r, double now)
{
	top_model_list(m, TOP_VIEW_WORKERS, r, now);
}

static void
give_requests(struct top_model *m, const json_t *r, double now)
{
	(void)now;
	top_model_requests(m, r);
}

static void
test_rates(void **state)
{
	struct top_model *m = make_model(1, "shop");

	(void)state;
	assert_true(isnan(value_of(m, "REQ/s")));
	take(give_workers, m,
	    "{\"workers\":[{\"slot\":0,\"pid\":9000,\"requests\":50,\"cpu_s\":1.0}]}", 12);
	assert_true(value_of(m, "REQ/s") == 25);
	take(give_workers, m,
	    "{\"workers\":[{\"slot\":0,\"pid\":9000,\"requests\":50,\"cpu_s\":2.0,"
	    "\"rss_bytes\":7,\"pss_bytes\":5}]}",
	    14);
	assert_true(value_of(m, "CPU%") == 0.5 && value_of(m, "MEM") == 5);
	take(top_model_counters, m,
	    "{\"workers\":[{\"slot\":0,\"pid\":9000,\"totals\":{\"requests\":100,"
	    "\"responses_5xx\":1,\"out_head\":10,\"out_body\":20}}]}",
	    14);
	assert_true(isnan(value_of(m, "ERR%")));
	take(top_model_counters, m,
	    "{\"workers\":[{\"slot\":0,\"pid\":9000,\"totals\":{\"requests\":120,"
	    "\"responses_5xx\":6,\"out_head\":20,\"out_body\":30,\"gil_wait_us\":7},"
	    "\"latency\":{\"p99\":812}},{\"slot\":7,\"pid\":1}]}",
	    16);
	assert_true(value_of(m, "ERR%") == 0.25 && value_of(m, "OUT/s") == 10);
	assert_true(isnan(value_of(m, "GIL%")) && isnan(value_of(m, "IN/s")));
	assert_true(value_of(m, "P99") == 812 && isnan(value_of(m, "P50")));
	take(give_requests, m,
	    "{\"requests\":[{\"worker\":0,\"age_s\":3.5},{\"worker\":0,\"age_s\":1}]}", 0);
	assert_true(value_of(m, "OLDEST") == 3.5);
	/* Another process in the slot: its numbers begin anew. */
	take(give_workers, m, "{\"workers\":[{\"slot\":0,\"pid\":9999,\"requests\":5}]}",
	    17);
	assert_true(isnan(value_of(m, "REQ/s")) && isnan(value_of(m, "OUT/s")));
	top_model_finish(m);
	free(m);
}

static void
test_sorted_and_filtered(void **state)
{
	struct top_model *m = make_model(40, "shop");
	const struct top_table *t = &m->tables[TOP_VIEW_WORKERS];

	(void)state;
	top_model_sort(m);
	draw(m, 80, 24, &frame);
	assert_non_null(strstr(frame.rows[2], "*SLOT"));
	assert_int_equal(t->rows[0].slot, 39);
	for (const char *p = "903"; *p != '\0'; p++)
		top_model_filter(m, *p);
	assert_int_equal(t->shown, 10);
	assert_int_equal(t->rows[0].pid, 9039);
	top_model_filter(m, '\0');
	top_model_filter(m, 'x');
	assert_int_equal(t->shown, 0);
	assert_null(top_model_selected(m));
	draw(m, 80, 24, &frame);
	assert_non_null(strstr(frame.rows[3], "none like that"));
	assert_non_null(strstr(frame.rows[23], "/90x"));
	top_model_drop_filter(m);
	/* Behind the last column: as it came. */
	while (m->sort[TOP_VIEW_WORKERS] >= 0)
		top_model_sort(m);
	assert_true(t->shown == 40 && t->rows[0].slot == 0);
	top_model_finish(m);
	free(m);
}

static void
test_columns_fit(void **state)
{
	const struct top_list *l = top_list_of(TOP_VIEW_WORKERS);
	uint64_t before = 0;

	(void)state;
	for (unsigned width = 60; width < 200; width++) {
		const uint64_t fit = top_columns_fitting(l, width);
		unsigned used = 0;

		for (size_t i = 0; i < l->n_columns; i++)
			used += fit >> i & 1 ? l->columns[i].width + 1 : 0;
		assert_true(used <= width);
		assert_true(__builtin_popcountll(fit) >= __builtin_popcountll(before));
		before = fit;
	}
	assert_int_equal(before, (UINT64_C(1) << l->n_columns) - 1);
}

static void
test_histogram(void **state)
{
	struct top_model *m = make_model(1, "shop");
	json_t *r = json_loads(
	    "{\"columns\":[null,{\"offset\":-20,\"counts\":[3,1],\"p50_us\":900},"
	    "{\"offset\":-21,\"counts\":[5,0,1,9],\"p50_us\":800,\"p99_us\":2000,"
	    "\"p999_us\":3000},{\"offset\":-90000,\"counts\":[1]},"
	    "{\"offset\":\"x\",\"counts\":{}}]}",
	    0, NULL);
	json_t *none = json_loads("{\"columns\":[null]}", 0, NULL);

	(void)state;
	top_model_look_at(m, TOP_VIEW_HISTOGRAM);
	top_model_heat(m, r);
	draw(m, 80, 24, &frame);
	json_object_clear(r);
	top_model_heat(m, none);
	draw(m, 80, 24, &frame);
	assert_non_null(strstr(frame.rows[3], "no request"));
	json_decref(r);
	r = json_loads("{\"columns\":[null,{\"offset\":-20,\"counts\":[3,1]},"
		       "{\"offset\":-21,\"counts\":[5,0,1,9],\"p50_us\":800}]}",
	    0, NULL);
	top_model_heat(m, r);
	draw(m, 80, 24, &frame);
	assert_non_null(strstr(frame.rows[3], " 691us          5  ####"));
	assert_non_null(strstr(frame.rows[4], " 977us          3  ###"));
	assert_non_null(strstr(frame.rows[6], " 2.0ms          9  #####"));
	json_decref(r);
	json_decref(none);
	top_model_finish(m);
	free(m);
}

/* While a worker drains, its successor has the same slot: j still gets past both. */
static void
test_two_in_a_slot(void **state)
{
	struct top_model *m = make_model(3, "shop");
	struct top_row *rows = m->tables[TOP_VIEW_WORKERS].rows;

	(void)state;
	rows[1].slot = 0;
	rows[2].slot = 1;
	assert_int_equal(top_model_selected(m)->pid, 9000);
	top_model_move(m, 1);
	assert_int_equal(top_model_selected(m)->pid, 9001);
	top_model_move(m, 1);
	assert_int_equal(top_model_selected(m)->pid, 9002);
	top_model_move(m, -1);
	rows[1].pid = 9999; /* gone: the first of the slot is meant */
	assert_int_equal(top_model_selected(m)->pid, 9000);
	top_model_finish(m);
	free(m);
}

static void
test_pane_scrolls(void **state)
{
	struct top_model *m = make_model(1, "shop");

	(void)state;
	top_model_show(m, " STACKS", strdup("one\ntwo\nthree"));
	top_model_move(m, 1);
	draw(m, 80, 24, &frame);
	assert_string_equal(frame.rows[5], " two");
	top_model_move(m, 10);
	draw(m, 80, 24, &frame);
	assert_string_equal(frame.rows[5], " three");
	top_model_close_pane(m);
	draw(m, 80, 24, &frame);
	assert_non_null(strstr(frame.rows[4], "IN FLIGHT"));
	top_model_finish(m);
	free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_size),
	    cmocka_unit_test(test_content),
	    cmocka_unit_test(test_selected_worker_is_shown),
	    cmocka_unit_test(test_rates),
	    cmocka_unit_test(test_sorted_and_filtered),
	    cmocka_unit_test(test_columns_fit),
	    cmocka_unit_test(test_histogram),
	    cmocka_unit_test(test_two_in_a_slot),
	    cmocka_unit_test(test_pane_scrolls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
