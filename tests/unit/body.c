/* The request-body store: memory, file, back-pressure, breaks, and two threads at once.
 * SPDX-License-Identifier: MIT */
#include "worker/net/body.h"

#include "worker/net/req.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

static char
byte_at(uint64_t at)
{
	return (char)(at * 167 >> 3);
}

static void
fill(char *p, uint64_t at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = byte_at(at + i);
}

static void
check(const char *p, uint64_t at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != byte_at(at + i))
			fail_msg("wrong byte at %llu", (unsigned long long)(at + i));
}

/* Appends n bytes in pieces of `piece`. */
static void
feed(struct body *b, uint64_t at, size_t n, size_t piece)
{
	char buf[70000];
	struct err e;

	while (n > 0) {
		size_t take = MIN(n, piece);

		fill(buf, at, take);
		assert_int_equal(body_append(b, buf, take, &e), 0);
		at += take;
		n -= take;
	}
}

static uint64_t
read_all(struct body *b, uint64_t at, size_t piece, int64_t expect_end)
{
	char buf[70000];
	int64_t got;

	while ((got = body_read(b, buf, piece)) > 0) {
		check(buf, at, (size_t)got);
		at += (uint64_t)got;
	}
	assert_int_equal(got, expect_end);
	return at;
}

static void
sizes_and_pieces(void **state)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 20000, 100001};
	static const size_t pieces[] = {1, 1000, 4096, 65536};

	(void)state;
	for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
		for (size_t p = 0; p < ARRAY_LEN(pieces); p++)
			for (int known = 0; known < 2; known++) {
				struct body *b = body_create(8192, true, NULL);

				if (known)
					body_expect(b, sizes[s]);
				feed(b, 0, sizes[s], pieces[p]);
				assert_int_equal(body_ready(b), sizes[s]);
				assert_int_equal(body_received(b), sizes[s]);
				assert_false(body_complete(b));
				assert_int_equal(
				    read_all(b, 0, pieces[p], BODY_AGAIN), sizes[s]);
				body_end(b);
				assert_true(body_complete(b));
				assert_int_equal(read_all(b, sizes[s], 10, 0), sizes[s]);
				assert_int_equal(body_ready(b), 0);
				body_destroy(b);
			}
}

/* Received straight into memory, never past the announced end. */
static void
room_is_exact(void **state)
{
	struct body *b = body_create(65536, true, NULL);
	size_t n;
	char *p;

	(void)state;
	body_expect(b, 100);
	p = body_room(b, &n);
	assert_int_equal(n, 100);
	fill(p, 0, 60);
	body_commit(b, 60);
	p = body_room(b, &n);
	assert_int_equal(n, 40);
	fill(p, 60, 40);
	body_commit(b, 40);
	assert_null(body_room(b, &n));
	assert_int_equal(n, 0);
	body_end(b);
	assert_int_equal(read_all(b, 0, 7, 0), 100);
	body_destroy(b);
	/* More than fits in memory: room first, then the file. */
	b = body_create(4096, true, NULL);
	body_expect(b, 10000);
	p = body_room(b, &n);
	assert_int_equal(n, 4096);
	fill(p, 0, n);
	body_commit(b, n);
	assert_null(body_room(b, &n));
	assert_int_equal(body_space(b), SIZE_MAX);
	feed(b, 4096, 5904, 5904);
	assert_null(body_room(b, &n));
	body_end(b);
	assert_int_equal(read_all(b, 0, 1000, 0), 10000);
	body_destroy(b);
}

static void
back_pressure(void **state)
{
	struct body *b = body_create(10000, false, NULL);
	char buf[10000];
	struct err e;
	size_t n;

	(void)state;
	assert_int_equal(body_space(b), 10000);
	feed(b, 0, 10000, 3000);
	assert_int_equal(body_append(b, "x", 1, &e), -1);
	assert_false(body_room_wanted(b));
	assert_int_equal(body_space(b), 0);
	assert_null(body_room(b, &n));
	assert_int_equal(body_read(b, buf, 1000), 1000);
	assert_false(body_room_wanted(b));
	for (n = 1000; n < 6000;) {
		int64_t got = body_read(b, buf, 6000 - n);

		assert_true(got > 0);
		check(buf, n, (size_t)got);
		n += (size_t)got;
	}
	assert_true(body_room_wanted(b));
	assert_false(body_room_wanted(b));
	assert_int_equal(body_space(b), 6000);
	feed(b, 10000, 6000, 6000);
	body_end(b);
	assert_int_equal(read_all(b, 6000, 700, 0), 16000);
	body_destroy(b);
}

static void
breaks(void **state)
{
	struct body *b = body_create(8192, true, NULL);
	bool bad = false;

	(void)state;
	assert_null(body_error(b, &bad));
	feed(b, 0, 10000, 10000);
	body_break(b, "chunk size", true);
	body_break(b, "too late", false);
	body_end(b);
	assert_false(body_complete(b));
	/* What came before is still delivered. */
	assert_int_equal(read_all(b, 0, 500, BODY_BROKEN), 10000);
	assert_string_equal(body_error(b, &bad), "chunk size");
	assert_true(bad);
	body_destroy(b);
	body_destroy(NULL);
}

static void
no_room_on_disk(void **state)
{
	struct rlimit before, small = {100000, 100000};
	struct body *b = body_create(4096, true, NULL);
	char buf[65536] = {0};
	struct err e = {""};
	int rc = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < 10 && rc == 0; i++)
		rc = body_append(b, buf, sizeof(buf), &e);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(rc, -1);
	assert_non_null(strstr(e.text, "File too large"));
	body_break(b, "no room", false);
	while (body_read(b, buf, sizeof(buf)) > 0)
		;
	assert_int_equal(body_read(b, buf, sizeof(buf)), BODY_BROKEN);
	body_destroy(b);
	b = body_create(4096, true, "/nonexistent/dir");
	assert_int_equal(body_append(b, buf, sizeof(buf), &e), -1);
	assert_non_null(strstr(e.text, "/nonexistent/dir: No such file"));
	body_destroy(b);
}

#define STREAM (24 * 1024 * 1024 + 13)

static void *
on_reader(void *arg)
{
	struct body *b = arg;
	char buf[30000];
	uint64_t at = 0;
	int64_t got;

	while ((got = body_read(b, buf, 1 + at % sizeof(buf))) != 0) {
		if (got == BODY_AGAIN) {
			sched_yield();
			continue;
		}
		assert_true(got > 0);
		check(buf, at, (size_t)got);
		at += (uint64_t)got;
		(void)body_room_wanted(b);
	}
	assert_int_equal(at, STREAM);
	return NULL;
}

static inline long
peak_rss_kib(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

/* A writer and a reader at once, through memory, file and back-pressure; memory is flat. */
static void
two_threads(void **state)
{
	(void)state;
	for (int mode = 0; mode < 3; mode++) {
		struct body *b = body_create(65536, mode != 1, NULL);
		long before = peak_rss_kib();
		char buf[20000];
		pthread_t reader;
		uint64_t at = 0;

		if (mode == 2)
			body_expect(b, STREAM);
		assert_int_equal(pthread_create(&reader, NULL, on_reader, b), 0);
		while (at < STREAM) {
			size_t n, want = (size_t)MIN((uint64_t)sizeof(buf), STREAM - at);
			char *p = body_room(b, &n);

			if (p != NULL) {
				n = MIN(n, want);
				fill(p, at, n);
				body_commit(b, n);
			} else {
				n = MIN(body_space(b), want);
				if (n == 0)
					sched_yield();
				else
					feed(b, at, n, n);
			}
			at += n;
		}
		body_end(b);
		pthread_join(reader, NULL);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
		(void)before; /* the sanitizer keeps what was freed */
#else
		assert_true(peak_rss_kib() - before < STREAM / 1024 / 2);
#endif
		body_destroy(b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes_and_pieces),
	    cmocka_unit_test(room_is_exact),
	    cmocka_unit_test(back_pressure),
	    cmocka_unit_test(breaks),
	    cmocka_unit_test(no_room_on_disk),
	    cmocka_unit_test(two_threads),
	};

	/* The I/O thread blocks every signal. */
	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
