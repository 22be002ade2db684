/* What metrics.http says of requests and connections: sums of what workers tell, however
 * little of that is true. SPDX-License-Identifier: MIT */
#include "master/ctl/facts.h"
#include "master/inflight.h"
#include "master/master.h"
#include "master/minder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct master m;
static struct minder minder;
static struct proc procs[2];
static struct totals_snapshot snapshot;

static int
on_setup(void **state)
{
	struct err e;
	int fd;

	(void)state;
	memset(&m, 0, sizeof(m));
	memset(&snapshot, 0, sizeof(snapshot));
	m.minder = &minder;
	m.listeners.n = 2;
	snprintf(m.listeners.v[0].name, sizeof(m.listeners.v[0].name), "127.0.0.1:1");
	snprintf(m.listeners.v[1].name, sizeof(m.listeners.v[1].name), "unix:/s");
	for (unsigned i = 0; i < 2; i++) {
		procs[i] =
		    (struct proc){.slot = i, .state = LIFE_READY, .next = m.fleet.procs};
		procs[i].seg = seg_create(i, 1, 1, &fd, &e);
		assert_non_null(procs[i].seg);
		close(fd);
		m.fleet.procs = &procs[i];
	}
	return 0;
}

static int
on_teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		seg_close(procs[i].seg);
	return 0;
}

/* The element of a list in which each of the labels is so; they end with NULL. */
static json_t *
element(json_t *facts, const char *list, const char *const labels[][2])
{
	json_t *one, *found = NULL;
	size_t i;

	json_array_foreach(json_object_get(facts, list), i, one)
	{
		size_t k = 0;

		while (labels[k][0] != NULL &&
		       strcmp(json_string_value(json_object_get(one, labels[k][0])),
			   labels[k][1]) == 0)
			k++;
		if (labels[k][0] == NULL) {
			assert_null(found);
			found = one;
		}
	}
	assert_non_null(found);
	return found;
}

#define NUMBER(facts, list, member, ...)                                                   \
	json_number_value(json_object_get(                                                 \
	    element((facts), (list), (const char *const[][2]){__VA_ARGS__, {NULL, NULL}}), \
	    (member)))

static void
test_sums(void **state)
{
	json_t *f;

	(void)state;
	procs[0].seg->gauges.connections[1][NET_STATE_lingering] = 3;
	procs[1].seg->gauges.connections[1][NET_STATE_lingering] = 4;
	procs[0].seg->gauges.in_phase[NET_PHASE_queue] = 5;
	procs[0].seg->gauges.oldest_ns[NET_PHASE_queue] = inflight_now_ns() - 2000000000;
	procs[1].seg->gauges.oldest_ns[NET_PHASE_queue] = inflight_now_ns() - 7000000000;
	snapshot.tallies.net[NET_COUNT_ABORTED + NET_ABORT_timeout * NET_PHASE_COUNT +
			     NET_PHASE_write] = 6;
	snapshot.tallies.net[NET_COUNT_REJECTED + NET_REJECT_quota] = 7;
	snapshot.tallies.net[NET_COUNT_CLOSED + NET_CLOSE_drain] = 8;
	snapshot.tallies.net[NET_COUNT_FAULTS + NET_FAULT_COUNT + NET_FAULT_tls] = 9;
	snapshot.tallies.net[NET_COUNT_HANDSHAKES + net_handshake_find("TLSv1.3", true)] =
	    10;
	snapshot.tallies.net[NET_COUNT_HANDSHAKES + net_handshake_find("TLSv9", false)] =
	    11;
	f = facts_net(&m, &snapshot);
	assert_true(NUMBER(f, "connections", "count", {"listener", "unix:/s"},
			{"state", "lingering"}) == 7);
	assert_true(NUMBER(f, "phases", "in_flight", {"phase", "queue"}) == 5);
	assert_in_range(
	    NUMBER(f, "phases", "oldest_age_s", {"phase", "queue"}) * 1000, 7000, 17000);
	assert_true(NUMBER(f, "phases", "oldest_age_s", {"phase", "app"}) == 0);
	assert_true(
	    NUMBER(f, "aborted", "count", {"by", "timeout"}, {"phase", "write"}) == 6);
	assert_true(NUMBER(f, "rejected", "count", {"reason", "quota"}) == 7);
	assert_true(NUMBER(f, "closed", "count", {"reason", "drain"}) == 8);
	assert_true(NUMBER(f, "connection_errors", "count", {"listener", "unix:/s"},
			{"reason", "tls"}) == 9);
	assert_true(NUMBER(f, "handshakes", "count", {"version", "TLSv1.3"},
			{"result", "completed"}, {"resumed", "true"}) == 10);
	assert_true(NUMBER(f, "handshakes", "count", {"version", "other"},
			{"result", "completed"}, {"resumed", "false"}) == 11);
	assert_int_equal(json_array_size(json_object_get(f, "certificates")), 0);
	json_decref(f);
}

static void
test_hostile_gauges(void **state)
{
	json_t *f;

	(void)state;
	for (size_t i = 0; i < NET_PHASE_COUNT; i++) {
		procs[0].seg->gauges.in_phase[i] = (uint64_t)-1;
		procs[1].seg->gauges.in_phase[i] = 1;
		procs[0].seg->gauges.oldest_ns[i] = UINT64_MAX;
	}
	procs[0].seg->gauges.connections[0][NET_STATE_idle] = INT64_MAX;
	procs[0].seg->gauges.connections[1][NET_STATE_idle] = 2;
	f = facts_net(&m, &snapshot);
	assert_true(NUMBER(f, "phases", "in_flight", {"phase", "read"}) == 1);
	assert_true(NUMBER(f, "phases", "oldest_age_s", {"phase", "read"}) == 0);
	assert_true(NUMBER(f, "connections", "count", {"listener", "127.0.0.1:1"},
			{"state", "idle"}) == 0);
	assert_true(NUMBER(f, "connections", "count", {"listener", "unix:/s"},
			{"state", "idle"}) == 2);
	json_decref(f);
}

/* The one that ends first, of those that serve; with a name that does no harm. */
static void
test_certificates(void **state)
{
	struct seg_certificate *late = &procs[0].seg->certificate,
			       *soon = &procs[1].seg->certificate;
	json_t *f;

	(void)state;
	late->not_after = 2000000000;
	soon->not_after = 1900000000;
	memset(soon->name, 'x', sizeof(soon->name)); /* without an end */
	memcpy(soon->name, "a\n\"\xff", 4);
	f = facts_net(&m, &snapshot);
	assert_true(
	    NUMBER(f, "certificates", "not_after", {"listener", "unix:/s"}) == 1900000000);
	assert_non_null(
	    strstr(json_string_value(json_object_get(
		       json_array_get(json_object_get(f, "certificates"), 0), "name")),
		"a\\x0a\"\\xffxxx"));
	json_decref(f);
	procs[1].state = LIFE_DRAINING;
	late->not_after = 2000000001;
	f = facts_net(&m, &snapshot);
	assert_true(NUMBER(f, "certificates", "not_after", {"listener", "127.0.0.1:1"}) ==
		    2000000001);
	json_decref(f);
	late->not_after = INT64_MAX;
	f = facts_net(&m, &snapshot);
	assert_int_equal(json_array_size(json_object_get(f, "certificates")), 0);
	json_decref(f);
	late->not_after = -1;
	f = facts_net(&m, &snapshot);
	assert_int_equal(json_array_size(json_object_get(f, "certificates")), 0);
	json_decref(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_sums, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(test_hostile_gauges, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(test_certificates, on_setup, on_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
