/* Sums by route: they never go backwards, whatever workers do or write, and an upgrade
 * counts nothing twice. SPDX-License-Identifier: MIT */
#include "master/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct routes table;

static struct seg *
make_seg(void)
{
	struct err e;
	int fd;
	struct seg *s = seg_create(0, 1, 1, &fd, &e);

	assert_non_null(s);
	close(fd);
	return s;
}

static void
name_route(struct seg *s, unsigned at, const char *name)
{
	strncpy(s->routes[at].name, name, ACCT_KEY_MAX);
	s->routes[at].name_n = (uint32_t)strlen(name);
}

static void
count(struct seg *s, unsigned at, uint64_t us)
{
	counter_add(&s->routes[at].bucket[seg_route_bucket(us * 1000)], 1);
	counter_add(&s->routes[at].classes[hist_class(us * 1000)], 1);
	counter_add(&s->routes[at].sum_us, us);
}

static const struct route *
find(const struct routes *t, const char *name)
{
	for (uint32_t i = 1; i <= t->n; i++)
		if (strcmp(t->v[i].name, name) == 0)
			return &t->v[i];
	return NULL;
}

static uint64_t
requests(const struct routes *t, const char *name)
{
	const struct route *r = name ? find(t, name) : &t->v[0];

	return r == NULL ? 0 : routes_requests(&r->counts);
}

static int
on_setup(void **state)
{
	(void)state;
	memset(&table, 0, sizeof(table));
	return 0;
}

static int
on_teardown(void **state)
{
	(void)state;
	routes_finish(&table);
	return 0;
}

static void
test_workers_add_up(void **state)
{
	struct seg *a = make_seg(), *b = make_seg();

	(void)state;
	name_route(a, 0, "/x");
	name_route(b, 0, "/y");
	name_route(b, 1, "/x");
	for (int i = 0; i < 99; i++)
		count(a, 0, 1000);
	count(b, 1, 100000);
	counter_add(&b->routes[1].errors, 1);
	count(b, 0, 1);
	routes_look(&table, a);
	routes_look(&table, b);
	routes_look(&table, b);
	assert_int_equal(requests(&table, "/x"), 100);
	assert_int_equal(find(&table, "/x")->counts.errors, 1);
	assert_int_equal(find(&table, "/x")->counts.sum_us, 199000);
	assert_true(routes_quantile(&find(&table, "/x")->counts, 0.5) >= 1000);
	assert_true(routes_quantile(&find(&table, "/x")->counts, 0.5) < 1000 * 1.2);
	assert_true(routes_quantile(&find(&table, "/x")->counts, 1) >= 100000);
	/* It counts on after the last look, and dies; so does one nobody had looked at. */
	count(a, 0, 5);
	routes_fold(&table, a);
	routes_fold(&table, b);
	seg_close(a);
	seg_close(b);
	a = make_seg();
	name_route(a, 0, "/x");
	count(a, 0, 5);
	routes_fold(&table, a);
	assert_int_equal(requests(&table, "/x"), 102);
	assert_int_equal(requests(&table, "/y"), 1);
	seg_close(a);
}

static void
test_more_names_than_kept(void **state)
{
	struct seg *s[2] = {make_seg(), make_seg()};
	char name[16];

	(void)state;
	for (unsigned w = 0; w < 2; w++) {
		for (unsigned i = 0; i < SEG_ROUTES; i++) {
			snprintf(name, sizeof(name), "/%u/%u", w, i);
			name_route(s[w], i, name);
			count(s[w], i, 1);
		}
		count(s[w], SEG_ROUTES_OTHER, 1);
		routes_look(&table, s[w]);
	}
	assert_int_equal(table.n, ROUTES_KEPT);
	assert_int_equal(requests(&table, "/0/63"), 1);
	assert_int_equal(requests(&table, NULL), SEG_ROUTES + 2);
	seg_close(s[0]);
	seg_close(s[1]);
}

static void
test_hostile_segment(void **state)
{
	static const char *const names[] = {"~other", "\xff\xfe", "a\nb", "\177"};
	struct seg *s = make_seg();

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		name_route(s, i, names[i]);
		count(s, i, 1);
	}
	memset(s->routes[4].name, 'n', ACCT_KEY_MAX);
	s->routes[4].name_n = UINT32_MAX;
	count(s, 4, 1);
	routes_look(&table, s);
	assert_int_equal(requests(&table, NULL), ARRAY_LEN(names));
	assert_int_equal(table.n, 1);
	assert_int_equal(strlen(table.v[1].name), ACCT_KEY_MAX);
	/* Counters that shrink, or are larger than any can be. */
	s->routes[4].classes[0] = 0;
	s->routes[4].errors = UINT64_MAX;
	routes_look(&table, s);
	assert_int_equal(routes_requests(&table.v[1].counts), 1);
	assert_int_equal(table.v[1].counts.errors, 0);
	s->routes[4].classes[0] = INT64_MAX;
	routes_look(&table, s);
	assert_int_equal(routes_requests(&table.v[1].counts), INT64_MAX);
	memset(s->routes, 0xff, sizeof(s->routes));
	routes_fold(&table, s);
	seg_close(s);
}

static void
test_upgrade_counts_once(void **state)
{
	struct routes *next = calloc(1, sizeof(*next));
	struct seg *gone = make_seg(), *stays = make_seg();
	json_t *saved;

	(void)state;
	name_route(gone, 0, "/x");
	name_route(stays, 0, "/y");
	name_route(stays, 1, "/x");
	for (int i = 0; i < 3; i++) {
		count(gone, 0, 7);
		count(stays, 1, 7);
		count(stays, 0, 7);
	}
	count(stays, SEG_ROUTES_OTHER, 7);
	routes_fold(&table, gone);
	routes_look(&table, stays);
	count(stays, 1, 7);
	saved = routes_save(&table);
	routes_restore(next, saved);
	json_decref(saved);
	assert_int_equal(requests(next, "/x"), 3);
	routes_look(next, stays);
	assert_int_equal(requests(next, "/x"), 7);
	assert_int_equal(find(next, "/x")->counts.sum_us, 49);
	assert_int_equal(requests(next, "/y"), 3);
	assert_int_equal(requests(next, NULL), 1);
	routes_finish(next);
	free(next);
	seg_close(gone);
	seg_close(stays);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_workers_add_up, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(
		test_more_names_than_kept, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(test_hostile_segment, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(
		test_upgrade_counts_once, on_setup, on_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
