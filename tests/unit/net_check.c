/* What a worker says about itself: self-checks, requests in flight, durations, lag.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/support/net_server.h"

#include <poll.h>
#include <stdio.h>

static void
start(void)
{
	net_server_open();
	worker.heritage.conf.timeout = 400;
	net_server_run();
}

static void
stop(void)
{
	const struct msg_drain order = {.graceful_ms = 2000, .accept = 1};

	net_server_tell(MSG_DRAIN, &order, sizeof(order));
	net_server_join();
}

static int
on_setup(void **state)
{
	(void)state;
	start();
	return 0;
}

static int
on_teardown(void **state)
{
	(void)state;
	stop();
	return 0;
}

/* The answer to a CHECK: its status; *text is what follows it. */
static unsigned
check(const char *path, char text[256])
{
	const struct msg *m;
	struct msg_checked checked;

	net_server_tell(MSG_CHECK, path, strlen(path));
	m = net_server_heard();
	assert_int_equal(m->type, MSG_CHECKED);
	assert_in_range(m->n, sizeof(checked), sizeof(checked) + 255);
	memcpy(&checked, m->payload, sizeof(checked));
	memcpy(text, m->payload + sizeof(checked), m->n - sizeof(checked));
	text[m->n - sizeof(checked)] = '\0';
	return checked.status;
}

static void
test_status(void **state)
{
	static char endless[9000] = "/";
	static const struct {
		const char *path;
		unsigned status;
		const char *text;
	} rows[] = {
	    {"/hello", 200, ""},
	    {"/stream?x=%20", 200, ""},
	    {"/big", 200, ""},
	    {"", 0, "begins with /"},
	    {"hello", 0, "begins with /"},
	    {"/a b", 0, "printable"},
	    {"/a\r\nX: y", 0, "printable"},
	    {"/\xc3\xa4", 0, "printable"},
	    {endless, 0, "too long"},
	    {"/hello", 200, ""},
	};
	char text[256];

	(void)state;
	memset(endless + 1, 'x', sizeof(endless) - 2);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned status = check(rows[i].path, text);

		if (status != rows[i].status || strstr(text, rows[i].text) == NULL ||
		    (status != 0) != (text[0] == '\0'))
			fail_msg("row %zu: %u %s", i, status, text);
	}
	net_server_wait(&fake_counts.done, 4); /* to the end, also that of /big */
	assert_int_equal(fake_counts.aborted, 0);
}

static void
test_no_answer(void **state)
{
	const struct msg_drain at_once = {.graceful_ms = 0};
	char text[256];

	(void)state;
	/* The limit of the application's time is also that of the check: what comes first
	 * answers. */
	if (check("/never", text) == 0)
		assert_non_null(strstr(text, "no answer within 0.4 s"));
	stop();
	start();
	net_server_tell(MSG_CHECK, "/never", 6);
	net_server_wait(&fake_counts.started, 1);
	net_server_tell(MSG_DRAIN, &at_once, sizeof(at_once));
	assert_int_equal(net_server_heard()->type, MSG_CHECKED);
	net_server_join();
	start();
}

static void
test_parked(void **state)
{
	const uint32_t announce = 1;
	char text[256];

	(void)state;
	net_server_tell(MSG_PARK, &announce, sizeof(announce));
	assert_int_equal(check("/hello", text), 200);
	net_server_wait_accepting(false);
	net_server_tell(MSG_RESUME, NULL, 0);
	net_server_wait_accepting(true);
}

static const struct seg_inflight *
find(const char *target)
{
	for (size_t i = 0; i < SEG_INFLIGHT; i++) {
		const struct seg_inflight *f = &worker.seg->inflight[i];

		if (atomic_load(&f->state) != INFLIGHT_FREE &&
		    f->target_len == strlen(target) &&
		    memcmp(f->target, target, f->target_len) == 0)
			return f;
	}
	return NULL;
}

static void
wait_for_phase(const char *target, uint32_t state)
{
	for (int i = 0; i < 3000; i++) {
		const struct seg_inflight *f = find(target);

		if (f != NULL && atomic_load(&f->state) == state)
			return;
		poll(NULL, 0, 1);
	}
	fail_msg("%s does not come to phase %u", target, state);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"

static void
test_phases(void **state)
{
	const int small = 4096;
	int stuck = net_server_client(), waits = net_server_client(),
	    slow = net_server_client();
	char buf[4096];

	(void)state;
	setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	net_server_send(slow, GET("/borrow"));
	wait_for_phase("/borrow", INFLIGHT_SENDING);
	net_server_send(stuck, GET("/never"));
	wait_for_phase("/never", INFLIGHT_APP);
	assert_int_equal(find("/never")->app_thread, FAKE_THREAD);
	net_server_send(waits, GET("/echo"));
	wait_for_phase("/echo", INFLIGHT_QUEUED);
	net_server_wait_stat(STAT_queued, 1);
	assert_true(net_server_receive(stuck, buf, 12) == 12);
	assert_string_equal(buf, "HTTP/1.1 504");
	/* Its own answer, or the 504 of one that waited too long itself. */
	assert_true(net_server_receive(waits, buf, 12) == 12);
	close(stuck);
	close(waits);
	close(slow);
	net_server_wait(&fake_counts.done, 3);
	while (find("/never") != NULL || find("/echo") != NULL || find("/borrow") != NULL)
		poll(NULL, 0, 1);
	net_server_wait_stat(STAT_requests, 3);
}

static void
test_durations(void **state)
{
	uint64_t counts[HIST_BUCKETS], total = 0;
	int fd = net_server_client();
	char buf[1024];

	(void)state;
	for (int i = 0; i < 10; i++) {
		net_server_send(fd, GET("/hello"));
		net_server_receive(fd, buf, 43);
	}
	net_server_send(fd, "GET /hello HTTP/1.1\r\nHo"); /* counts from its first byte */
	poll(NULL, 0, 300);
	net_server_send(fd, "st: t\r\n\r\n");
	net_server_receive(fd, buf, 43);
	net_server_wait_stat(STAT_requests, 11);
	for (size_t i = 0; i < HIST_BUCKETS; i++)
		total += counts[i] =
		    atomic_load(&worker.seg->durations[DURATION_request].bucket[i]);
	assert_int_equal(total, 11);
	assert_true(hist_quantile(counts, 0.5) < 100000);
	assert_true(hist_quantile(counts, 1) >= 295000);
	assert_in_range(
	    atomic_load(&worker.seg->durations[DURATION_request].sum_us), 295000, 2000000);
	/* From the first byte to the last: most requests come as a whole. */
	assert_int_equal(atomic_load(&worker.seg->durations[DURATION_read].bucket[0]), 10);
	assert_in_range(
	    atomic_load(&worker.seg->durations[DURATION_read].sum_us), 295000, 2000000);
	assert_int_equal(atomic_load(&worker.seg->sizes[SIZE_request].classes[0]), 11);
	assert_int_equal(atomic_load(&worker.seg->sizes[SIZE_response].sum), 11 * 43);
	close(fd);
}

static void
test_lag(void **state)
{
	int fd = net_server_client();
	char buf[1024];

	(void)state;
	fake_stall_ms = 500;
	net_server_send(fd, GET("/hello"));
	net_server_receive(fd, buf, 43);
	net_server_wait_stat(STAT_loop_lag_us, 250000);
	assert_true(
	    atomic_load(&worker.seg->durations[DURATION_loop_lag].sum_us) >= 250000);
	close(fd);
}

#define SERVED(f) cmocka_unit_test_setup_teardown(f, on_setup, on_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SERVED(test_status),
	    SERVED(test_no_answer),
	    SERVED(test_parked),
	    SERVED(test_phases),
	    SERVED(test_durations),
	    SERVED(test_lag),
	};

	return cmocka_run_group_tests_name("net_check", tests, NULL, NULL);
}
