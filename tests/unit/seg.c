/* The shared segment: one side's counters are the other side's, and wrong ones are refused.
 * SPDX-License-Identifier: MIT */
#include "common/seg.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void
test_shared(void **state)
{
	struct err e;
	int fd;
	struct seg *master = seg_create(2, 3, 4, &fd, &e), *worker;

	(void)state;
	assert_non_null(master);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	worker = seg_open(fd, &e);
	assert_non_null(worker);
	assert_int_equal(worker->slot, 2);
	assert_int_equal(worker->generation, 3);
	assert_int_equal(worker->epoch, 4);
	stat_add(worker, STAT_requests, 5);
	stat_add(worker, STAT_requests, 6);
	assert_int_equal(stat_get(master, STAT_requests), 11);
	assert_int_equal(stat_get(master, STAT_rejected), 0);
	assert_int_equal(master->inflight[SEG_INFLIGHT - 1].state, INFLIGHT_FREE);
	/* What a worker did outlives its mapping. */
	seg_close(worker);
	assert_int_equal(stat_get(master, STAT_requests), 11);
	seg_close(master);
	seg_close(NULL);
	close(fd);
}

static void
test_size_is_fixed(void **state)
{
	struct err e;
	int fd;
	struct seg *s = seg_create(0, 1, 1, &fd, &e);

	(void)state;
	assert_non_null(s);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 1 << 24), -1);
	seg_close(s);
	close(fd);
}

static void
test_refused(void **state)
{
	struct err e;
	int fd, empty = memfd_create("empty", MFD_CLOEXEC);
	struct seg *s;

	(void)state;
	assert_null(seg_open(empty, &e));
	assert_non_null(strstr(e.text, "bytes, found 0"));
	close(empty);
	assert_null(seg_open(-1, &e));
	assert_string_equal(e.text, "shared segment: descriptor -1: Bad file descriptor");
	s = seg_create(0, 1, 1, &fd, &e);
	assert_non_null(s);
	s->magic++;
	assert_null(seg_open(fd, &e));
	assert_string_equal(e.text, "shared segment: made by another version");
	seg_close(s);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shared),
	    cmocka_unit_test(test_size_is_fixed),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
