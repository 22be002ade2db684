/* The screen of `shoalctl top`: every row fits, nothing but text and known escapes comes
 * out, whatever the server says. SPDX-License-Identifier: MIT */
#include "master/cli/text.h"
#include "master/cli/top_screen.h"

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
	top_model_workers(m, r, 10);
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
	top_model_list(m, TOP_VIEW_ACCOUNTS, r, "");
	top_model_list(m, TOP_VIEW_ROUTES, rows == 1 ? NULL : r, HOSTILE);
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
					m->view = (enum top_view)((pane + w) % TOP_VIEWS);
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

static void
test_rates(void **state)
{
	struct top_model *m = make_model(1, "shop");
	json_t *r = json_pack("{s:[{s:i, s:i, s:i, s:f}]}", "workers", "slot", 0, "pid",
	    9000, "requests", 50, "cpu_s", 1.0);
	json_t *again = json_pack(
	    "{s:[{s:i, s:i, s:i}]}", "workers", "slot", 0, "pid", 9999, "requests", 5);

	(void)state;
	assert_true(m->workers[0].rate < 0);
	top_model_workers(m, r, 12);
	assert_true(m->workers[0].rate == 25);
	assert_true(m->workers[0].cpu == 0.5);
	/* Another process in the slot: its numbers begin anew. */
	top_model_workers(m, again, 13);
	assert_true(m->workers[0].rate < 0);
	json_decref(r);
	json_decref(again);
	top_model_finish(m);
	free(m);
}

/* While a worker drains, its successor has the same slot: j still gets past both. */
static void
test_two_in_a_slot(void **state)
{
	struct top_model *m = make_model(3, "shop");

	(void)state;
	m->workers[1].slot = 0;
	m->workers[2].slot = 1;
	assert_int_equal(top_model_selected(m)->pid, 9000);
	top_model_move(m, 1);
	assert_int_equal(top_model_selected(m)->pid, 9001);
	top_model_move(m, 1);
	assert_int_equal(top_model_selected(m)->pid, 9002);
	top_model_move(m, -1);
	m->workers[1].pid = 9999; /* gone: the first of the slot is meant */
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
	    cmocka_unit_test(test_two_in_a_slot),
	    cmocka_unit_test(test_pane_scrolls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
