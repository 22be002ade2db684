/* The log writer: order, whole records, bounded memory, a stalled reader, reopening.
 * SPDX-License-Identifier: MIT */
#include "worker/logw.h"

#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

static int
memory_file(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void
put(enum logw_stream stream, const char *text)
{
	logw_write(stream, text, strlen(text));
}

static uint64_t
all_dropped(void)
{
	return logw_dropped(LOGW_ACCESS) + logw_dropped(LOGW_ERROR);
}

static void
on_log_line(const char *line, size_t n)
{
	logw_write(LOGW_ERROR, line, n);
}

/* The writer owns the descriptor it is given; a test looks at the file through another. */
static char *
contents(int fd)
{
	struct stat st;
	char *p;

	assert_int_equal(fstat(fd, &st), 0);
	p = malloc((size_t)st.st_size + 1);
	assert_non_null(p);
	assert_int_equal(pread(fd, p, (size_t)st.st_size, 0), st.st_size);
	p[st.st_size] = 0;
	return p;
}

static void
expect_contents(int fd, const char *text)
{
	char *p = contents(fd);

	assert_string_equal(p, text);
	free(p);
}

static void
wait_size(int fd, off_t size)
{
	uint64_t deadline = now_ms() + 5000;
	struct stat st;

	do {
		assert_true(now_ms() < deadline);
		poll(NULL, 0, 1);
		assert_int_equal(fstat(fd, &st), 0);
	} while (st.st_size < size);
}

static void
direct_before_and_after_the_thread(void **state)
{
	int access = memory_file(), error = memory_file();

	(void)state;
	logw_init(dup(access), dup(error));
	put(LOGW_ERROR, "early\n");
	expect_contents(error, "early\n");
	assert_int_equal(logw_start(), 0);
	put(LOGW_ACCESS, "one\n");
	put(LOGW_ERROR, "two\n");
	put(LOGW_ACCESS, "three\n");
	logw_stop(1000);
	expect_contents(access, "one\nthree\n");
	expect_contents(error, "early\ntwo\n");
	put(LOGW_ERROR, "late\n");
	expect_contents(error, "early\ntwo\nlate\n");
	assert_int_equal(all_dropped(), 0);
	logw_init(-1, -1);
	close(access);
	close(error);
}

/* The first record arrives by itself, soon, and not before others could come along. */
static void
arrives_without_a_full_load(void **state)
{
	int access = memory_file();
	struct stat st;
	uint64_t begin;

	(void)state;
	logw_init(dup(access), -1);
	assert_int_equal(logw_start(), 0);
	poll(NULL, 0, 20);
	begin = now_ms();
	put(LOGW_ACCESS, "one\n");
	put(LOGW_ERROR, "nobody wants it\n");
	assert_int_equal(fstat(access, &st), 0);
	assert_int_equal(st.st_size, 0);
	put(LOGW_ACCESS, "two\n");
	wait_size(access, 8);
	assert_in_range(now_ms() - begin, 50, 2000);
	logw_stop(1000);
	logw_init(-1, -1);
	close(access);
}

static void
reopen_keeps_order(void **state)
{
	int old = memory_file(), new = memory_file(), newest = memory_file();

	(void)state;
	logw_init(dup(old), -1);
	assert_int_equal(logw_start(), 0);
	put(LOGW_ACCESS, "old 1\n");
	put(LOGW_ACCESS, "old 2\n");
	logw_reopen(dup(new), -1);
	put(LOGW_ACCESS, "new 1\n");
	wait_size(new, 6);
	expect_contents(old, "old 1\nold 2\n");
	put(LOGW_ACCESS, "new 2\n");
	wait_size(new, 12);
	logw_reopen(dup(newest), -1);
	put(LOGW_ACCESS, "newest\n");
	logw_stop(1000);
	expect_contents(new, "new 1\nnew 2\n");
	expect_contents(newest, "newest\n");
	logw_init(-1, -1);
	close(old);
	close(new);
	close(newest);
}

#define FLOOD 100000

/* A pipe nobody reads: the producer never waits, the error log goes on, drops are counted,
 * and what is read afterwards is whole records in order. */
static void
stalled_pipe(void **state)
{
	int pipefd[2], error = memory_file();
	unsigned expect = 0, n;
	uint64_t begin, longest = 0;
	char line[64], tail;
	FILE *in;

	(void)state;
	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	logw_init(pipefd[1], dup(error));
	assert_int_equal(logw_start(), 0);
	for (unsigned i = 0; i < FLOOD; i++) {
		int len = snprintf(line, sizeof(line), "record %010u of many, many\n", i);

		begin = now_ms();
		logw_write(LOGW_ACCESS, line, (size_t)len);
		longest = MAX(longest, now_ms() - begin);
	}
	assert_true(longest < 500);
	assert_true(logw_dropped(LOGW_ACCESS) > 0);
	assert_int_equal(logw_dropped(LOGW_ERROR), 0);
	put(LOGW_ERROR, "the other log goes on\n");
	wait_size(error, 20);
	begin = now_ms();
	logw_stop(100);
	assert_true(now_ms() - begin < 2000);
	logw_init(-1, -1);
	close(pipefd[1]);
	in = fdopen(pipefd[0], "r");
	while (fgets(line, sizeof(line), in) != NULL) {
		assert_int_equal(sscanf(line, "record %u of many, many%c", &n, &tail), 2);
		assert_int_equal(n, expect++);
	}
	assert_in_range(expect, 1000, FLOOD / 10);
	fclose(in);
	close(error);
}

/* A dead reader keeps its records until a reopening gives them somewhere to go. */
static void
dead_pipe_then_reopen(void **state)
{
	int pipefd[2], error = memory_file(), fresh = memory_file();

	(void)state;
	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	close(pipefd[0]);
	logw_init(pipefd[1], dup(error));
	log_set_sink(on_log_line);
	assert_int_equal(logw_start(), 0);
	put(LOGW_ACCESS, "lost? no\n");
	wait_size(error, 10);
	put(LOGW_ACCESS, "kept\n");
	logw_reopen(dup(fresh), dup(error));
	put(LOGW_ACCESS, "after\n");
	wait_size(fresh, 20);
	expect_contents(fresh, "lost? no\nkept\nafter\n");
	logw_stop(1000);
	log_set_sink(NULL);
	logw_init(-1, -1);
	close(error);
	close(fresh);
}

static void
full_disk_is_reported_once(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), error = memory_file();
	char *p, *first;

	(void)state;
	assert_true(full >= 0);
	logw_init(full, dup(error));
	log_set_sink(on_log_line);
	assert_int_equal(logw_start(), 0);
	put(LOGW_ACCESS, "no room\n");
	wait_size(error, 10);
	logw_stop(1200);
	log_set_sink(NULL);
	p = contents(error);
	first = strstr(p, "logs: write failed stream=access");
	assert_non_null(first);
	assert_null(strstr(first + 20, "write failed"));
	free(p);
	assert_int_equal(all_dropped(), 1);
	logw_init(-1, -1);
	close(error);
}

#define PRODUCERS 6
#define PER_PRODUCER 20000

static void *
on_producer(void *arg)
{
	char line[64];
	unsigned id = *(unsigned *)arg;

	for (unsigned i = 0; i < PER_PRODUCER; i++) {
		int len = snprintf(line, sizeof(line), "%u %u\n", id, i);

		logw_write(i % 16 == 0 ? LOGW_ERROR : LOGW_ACCESS, line, (size_t)len);
	}
	return NULL;
}

/* Counts the lines of one file; each must be whole, and each producer's in order. */
static unsigned
check_lines(int fd)
{
	char *p = contents(fd), *at = p;
	unsigned long id, i;
	int last[PRODUCERS];
	unsigned lines = 0;

	memset(last, -1, sizeof(last));
	while (*at != 0) {
		id = strtoul(at, &at, 10);
		assert_int_equal(*at, ' ');
		i = strtoul(at, &at, 10);
		assert_int_equal(*at++, '\n');
		assert_true(id < PRODUCERS);
		assert_true((int)i > last[id]);
		last[id] = (int)i;
		lines++;
	}
	free(p);
	return lines;
}

static void
many_producers(void **state)
{
	int fds[] = {memory_file(), memory_file()};
	pthread_t threads[PRODUCERS];
	unsigned ids[PRODUCERS];

	(void)state;
	logw_init(dup(fds[0]), dup(fds[1]));
	assert_int_equal(logw_start(), 0);
	for (unsigned i = 0; i < PRODUCERS; i++) {
		ids[i] = i;
		assert_int_equal(
		    pthread_create(&threads[i], NULL, on_producer, &ids[i]), 0);
	}
	logw_reopen(dup(fds[0]), dup(fds[1]));
	for (unsigned i = 0; i < PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	logw_stop(5000);
	assert_int_equal(check_lines(fds[0]) + check_lines(fds[1]) + all_dropped(),
	    PRODUCERS * PER_PRODUCER);
	logw_init(-1, -1);
	close(fds[0]);
	close(fds[1]);
}

static void
too_long_is_dropped(void **state)
{
	int access = memory_file();
	char *big = calloc(1, LOGW_BUFFER + 1);

	(void)state;
	logw_init(dup(access), -1);
	assert_int_equal(logw_start(), 0);
	logw_write(LOGW_ACCESS, big, LOGW_BUFFER + 1);
	put(LOGW_ACCESS, "fits\n");
	logw_stop(1000);
	assert_int_equal(all_dropped(), 1);
	expect_contents(access, "fits\n");
	logw_init(-1, -1);
	close(access);
	free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(direct_before_and_after_the_thread),
	    cmocka_unit_test(arrives_without_a_full_load),
	    cmocka_unit_test(reopen_keeps_order),
	    cmocka_unit_test(stalled_pipe),
	    cmocka_unit_test(dead_pipe_then_reopen),
	    cmocka_unit_test(full_disk_is_reported_once),
	    cmocka_unit_test(many_producers),
	    cmocka_unit_test(too_long_is_dropped),
	};

	/* As the worker does. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
