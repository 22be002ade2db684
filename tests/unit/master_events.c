/* Events: their order, the ring's bounds and the limit of ten a second.
 * SPDX-License-Identifier: MIT */
#include "master/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct events ev;

static int
open_ring(void **state)
{
	struct err e;

	(void)state;
	return events_init(&ev, 0, &e);
}

static int
close_ring(void **state)
{
	(void)state;
	events_finish(&ev);
	return 0;
}

static void
on_event(void *ctx, const struct event_record *r)
{
	*(uint64_t *)ctx = r->seq;
}

static void
test_order(void **state)
{
	uint64_t seen = 0;
	json_t *v, *again;
	char *text;

	(void)state;
	assert_int_equal(events_oldest(&ev), 0);
	assert_null(events_get(&ev, 1));
	ev.on_event = on_event;
	ev.ctx = &seen;
	events_emit(&ev, "server.ready", NULL);
	events_emit(&ev, "reload.done", json_pack("{s:s}", "job", "r-1"));
	assert_int_equal(seen, 2);
	assert_int_equal(events_oldest(&ev), 1);
	assert_string_equal(events_get(&ev, 1)->type, "server.ready");
	assert_null(events_get(&ev, 3));
	v = events_to_json(events_get(&ev, 2));
	assert_string_equal(json_string_value(json_object_get(v, "type")), "reload.done");
	assert_int_equal(json_integer_value(json_object_get(v, "seq")), 2);
	assert_true(json_is_object(json_object_get(v, "data")));
	assert_null(json_object_get(v, "suppressed"));
	text = events_to_text(events_get(&ev, 2));
	again = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_integer_value(json_object_get(again, "seq")), 2);
	assert_true(json_equal(json_object_get(again, "data"), json_object_get(v, "data")));
	assert_true(json_is_real(json_object_get(again, "t")));
	assert_string_equal(
	    json_string_value(json_object_get(again, "type")), "reload.done");
	json_decref(again);
	free(text);
	json_decref(v);
	/* No such type: nothing is numbered. */
	events_emit(&ev, "no.such", json_object());
	assert_int_equal(ev.seq, 2);
}

static void
test_ring_is_bounded(void **state)
{
	(void)state;
	for (int i = 0; i < EVENTS_KEPT + 10; i++)
		events_emit(&ev, "config.changed", json_pack("{s:i}", "i", i));
	assert_int_equal(ev.seq, EVENTS_KEPT + 10);
	assert_int_equal(events_oldest(&ev), 11);
	assert_null(events_get(&ev, 10));
	assert_int_equal(events_get(&ev, 11)->seq, 11);
	assert_string_equal(events_get(&ev, 11)->data, "{\"i\":10}");
}

static void
test_bytes_are_bounded(void **state)
{
	static char text[1 << 17];
	size_t kept = 0;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 40; i++)
		events_emit(&ev, "reload.failed", json_pack("{s:s}", "traceback", text));
	assert_int_equal(ev.seq, 40);
	for (uint64_t s = events_oldest(&ev); s <= ev.seq; s++)
		kept += strlen(events_get(&ev, s)->data);
	assert_in_range(kept, EVENTS_BYTES_MAX - sizeof(text) - 64, EVENTS_BYTES_MAX);
	assert_null(events_get(&ev, events_oldest(&ev) - 1));
}

static void
test_repeating_types_are_limited(void **state)
{
	const struct event_record *last;
	uint64_t shown, told = 0;

	(void)state;
	/* Enough of them that a second passes in between at most once or twice. */
	for (int i = 0; i < 1000; i++)
		events_emit(&ev, "worker.exit", NULL);
	shown = ev.seq;
	assert_in_range(shown, 10, 100);
	for (int i = 0; i < 100; i++)
		events_emit(&ev, "server.ready", NULL);
	assert_int_equal(ev.seq, shown + 100);
	/* The first after the second is over says how many were left out. */
	do {
		events_emit(&ev, "worker.exit", NULL);
		last = events_get(&ev, ev.seq);
	} while (strcmp(last->type, "worker.exit") != 0);
	for (uint64_t s = 1; s <= ev.seq; s++)
		told += events_get(&ev, s)->suppressed;
	assert_true(last->suppressed > 0 && told >= 1000 - shown);
}

static void
test_first_number(void **state)
{
	struct events later;
	struct err e;

	(void)state;
	assert_int_equal(events_init(&later, 500, &e), 0);
	events_emit(&later, "server.upgraded", NULL);
	assert_int_equal(later.seq, 500);
	assert_int_equal(events_oldest(&later), 500);
	events_finish(&later);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_order, open_ring, close_ring),
	    cmocka_unit_test_setup_teardown(test_ring_is_bounded, open_ring, close_ring),
	    cmocka_unit_test_setup_teardown(test_bytes_are_bounded, open_ring, close_ring),
	    cmocka_unit_test_setup_teardown(
		test_repeating_types_are_limited, open_ring, close_ring),
	    cmocka_unit_test(test_first_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
