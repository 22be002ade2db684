/* A writer killed at any moment: what it committed is there, whole and once.
 * SPDX-License-Identifier: MIT */
#include "common/acct.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define ROWS 32
#define KEYS 100
#define LIVES 60
#define SEND 4096

/* What the writer says of itself, before and after each commit. */
struct notes {
	_Atomic uint64_t begun, done;
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void
write_on(int fd, struct notes *notes, uint32_t seed)
{
	struct acct a;
	struct err e;

	if (acct_open(&a, fd, ACCT_WRITE, &e) < 0 || acct_begin(&a, &e) < 0)
		_exit(1);
	for (;;) {
		uint64_t add[ACCT_COLUMNS] = {0};
		char key[16];
		uint32_t row;
		int n;

		seed = seed * 1664525 + 1013904223;
		n = snprintf(key, sizeof(key), "key-%u", (seed >> 16) % KEYS);
		for (int i = 0; i < ACCT_COLUMNS; i++)
			add[i] = (uint64_t)i + 1;
		add[ACCT_uncertain] = 0;
		a.now_ns += ACCT_IDLE_NS / 16; /* rows change hands all the time */
		row = acct_row_find(&a, key, (size_t)n);
		atomic_fetch_add(&notes->begun, 1);
		acct_intend(&a, row, SEND);
		acct_commit(&a, row, add);
		acct_intend(&a, row, 0);
		atomic_fetch_add(&notes->done, 1);
	}
}

/* Columns of one row stand to each other as those of each commit did. */
static void
check_view(const struct acct_view *v)
{
	uint64_t commits = v->value[0];

	for (int i = 0; i < ACCT_COLUMNS; i++)
		if (i != ACCT_uncertain && v->value[i] != commits * ((uint64_t)i + 1))
			fail_msg("%s: column %d is %llu after %llu commits", v->key, i,
			    (unsigned long long)v->value[i], (unsigned long long)commits);
}

/* As the ledger does: what grew is added up, then published. */
static void
apply(struct acct *a, uint64_t *commits, uint64_t *uncertain)
{
	for (uint32_t row = 0; row < acct_used(a); row++) {
		struct acct_view v, old;

		assert_true(acct_applied_get(a, row, &old));
		if (!acct_read(a, row, &v) || v.seq == old.seq)
			continue;
		check_view(&v);
		if (old.epoch != v.epoch)
			memset(old.value, 0, sizeof(old.value));
		assert_true(v.value[0] >= old.value[0]);
		*commits += v.value[0] - old.value[0];
		*uncertain += v.value[ACCT_uncertain] - old.value[ACCT_uncertain];
		acct_applied_set(a, row, &v);
	}
}

/* One life; returns whether the kill left a send open. */
static bool
live_once(struct notes *notes, uint32_t seed)
{
	const unsigned id[3] = {0, seed, 1};
	uint64_t commits = 0, uncertain = 0, begun, until;
	struct acct a, ledger;
	struct err e;
	pid_t pid;
	int fd, status;

	*notes = (struct notes){0};
	assert_int_equal(acct_create(&a, -1, ROWS, id, &fd, &e), 0);
	assert_int_equal(acct_open(&ledger, fd, ACCT_APPLY, &e), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		write_on(fd, notes, seed);
	until = now_ns() + 200000 + seed % 7919 * 300;
	while (now_ns() < until || atomic_load(&notes->done) == 0)
		apply(&ledger, &commits, &uncertain);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	acct_replay(&a);
	acct_replay(&a);
	assert_int_equal(a.head->state, ACCT_CLOSED);
	apply(&ledger, &commits, &uncertain);
	begun = atomic_load(&notes->begun);
	assert_in_range(commits, atomic_load(&notes->done), begun);
	assert_true(uncertain == 0 || uncertain == SEND);
	acct_close(&ledger);
	acct_close(&a);
	close(fd);
	return uncertain > 0;
}

static void
test_kill(void **state)
{
	struct notes *notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned open_sends = 0;
	uint32_t seed = 12345;

	(void)state;
	assert_ptr_not_equal(notes, MAP_FAILED);
	for (int i = 0; i < LIVES; i++) {
		seed = seed * 1664525 + 1013904223;
		open_sends += live_once(notes, seed >> 8);
	}
	/* Most of a life is spent between the two: a test that never met it tests nothing.
	 */
	assert_true(open_sends > 0);
	munmap(notes, sizeof(*notes));
}

/* A commit cut after each of its stores: the record of it is completed or was not begun. */
static void
test_cut(void **state)
{
	const unsigned id[3] = {0, 1, 1};
	struct acct a;
	struct acct_view v;
	struct err e;
	int fd;

	(void)state;
	assert_int_equal(acct_create(&a, -1, ROWS, id, &fd, &e), 0);
	for (int i = 0; i < ACCT_COLUMNS; i++)
		atomic_store(&a.head->redo.value[i], (uint64_t)i + 1);
	atomic_store(&a.head->redo.row, ACCT_ROW_NONE);
	atomic_store(&a.head->redo.state, 1);
	atomic_store(&a.row[ACCT_ROW_NONE].seq, 1);
	atomic_store(&a.row[ACCT_ROW_NONE].value[0], 1);
	assert_false(acct_read(&a, ACCT_ROW_NONE, &v));
	atomic_store(&a.head->intent.row, ACCT_ROW_NONE);
	atomic_store(&a.head->intent.bytes, 1ull << 40); /* nobody sends so much */
	acct_replay(&a);
	assert_true(acct_read(&a, ACCT_ROW_NONE, &v));
	assert_int_equal(v.value[ACCT_uncertain], ACCT_uncertain + 1 + ACCT_SENDS_MAX);
	v.value[ACCT_uncertain] = 0;
	check_view(&v);
	assert_int_equal(v.value[0], 1);
	acct_close(&a);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kill),
	    cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests_name("acct_kill", tests, NULL, NULL);
}
