/* Sums of accounts: they only grow, whatever becomes of workers, rows and masters.
 * SPDX-License-Identifier: MIT */
#include "master/accounts.h"

#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct err e;

static const struct account *
find(const struct accounts *all, const char *name)
{
	for (uint32_t i = 0; i < all->n; i++)
		if (strcmp(all->v[i].name, name) == 0)
			return &all->v[i];
	return NULL;
}

static uint64_t
requests_of(const struct accounts *all, const char *name)
{
	const struct account *a = find(all, name);

	return a == NULL ? 0 : a->value[ACCT_requests];
}

static void
serve(struct acct *writer, const char *name, uint64_t n)
{
	const uint64_t add[ACCT_COLUMNS] = {[ACCT_requests] = n};

	acct_commit(writer, acct_row_find(writer, name, strlen(name)), add);
}

static struct acct
begin(int fd)
{
	struct acct a;

	assert_int_equal(acct_open(&a, fd, ACCT_WRITE, &e), 0);
	assert_int_equal(acct_begin(&a, &e), 0);
	return a;
}

static void
test_lives(void **state)
{
	const unsigned id[] = {0, 1, 1};
	struct accounts all;
	struct accounts_table t;
	struct acct writer;
	int fd;

	(void)state;
	assert_int_equal(accounts_open(&all, NULL, true, NULL, &e), 0);
	for (int life = 1; life <= 3; life++) {
		assert_int_equal(accounts_create(&all, &t, 16, id, &fd, &e), 0);
		writer = begin(fd);
		serve(&writer, "acme", 1);
		accounts_look(&all, &t);
		serve(&writer, "acme", 4);
		serve(&writer, "other", 1);
		acct_close(&writer);
		acct_replay(&t.acct);
		accounts_look(&all, &t);
		accounts_look(&all, &t);
		accounts_table_close(&t);
		close(fd);
		assert_int_equal(requests_of(&all, "acme"), 5 * (uint64_t)life);
		assert_int_equal(requests_of(&all, "other"), (uint64_t)life);
	}
	accounts_close(&all);
}

/* Without a ledger the master says what is applied, so rows are given to others. */
static void
test_rows_change_hands(void **state)
{
	const unsigned id[] = {0, 1, 1};
	struct accounts all;
	struct accounts_table t;
	struct acct writer;
	char name[16];
	int fd;

	(void)state;
	assert_int_equal(accounts_open(&all, NULL, false, NULL, &e), 0);
	assert_int_equal(accounts_create(&all, &t, 16, id, &fd, &e), 0);
	writer = begin(fd);
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "a%d", i % 200);
		writer.now_ns += ACCT_IDLE_NS / 8;
		serve(&writer, name, 1);
		accounts_look(&all, &t);
	}
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		assert_int_equal(requests_of(&all, name), 2);
	}
	assert_int_equal(all.overflowed, 0);
	acct_close(&writer);
	accounts_table_close(&t);
	close(fd);
	accounts_close(&all);
}

/* The binary that takes over counts the tables of workers that go on from their beginning.
 */
static void
test_another_image(void **state)
{
	const unsigned id[] = {0, 1, 1};
	struct accounts before, after;
	struct accounts_table gone, stays, again = {0};
	const struct accounts_table *live[] = {&stays};
	struct acct writer[2];
	json_t *saved;
	int fd[2];

	(void)state;
	assert_int_equal(accounts_open(&before, NULL, false, NULL, &e), 0);
	assert_int_equal(accounts_create(&before, &gone, 16, id, &fd[0], &e), 0);
	assert_int_equal(accounts_create(&before, &stays, 16, id, &fd[1], &e), 0);
	for (int i = 0; i < 2; i++) {
		writer[i] = begin(fd[i]);
		serve(&writer[i], "acme", 5);
		serve(&writer[i], i ? "stays" : "gone", 1);
	}
	accounts_look(&before, &gone);
	accounts_look(&before, &stays);
	accounts_billed((struct account *)find(&before, "acme"));
	acct_close(&writer[0]);
	accounts_table_close(&gone);
	serve(&writer[1], "acme", 2);
	saved = accounts_save(&before, live, 1);
	accounts_close(&before);
	assert_int_equal(accounts_open(&after, NULL, false, NULL, &e), 0);
	accounts_restore(&after, saved);
	json_decref(saved);
	assert_int_equal(requests_of(&after, "acme"), 5);
	assert_int_equal(requests_of(&after, "gone"), 1);
	assert_int_equal(requests_of(&after, "stays"), 0);
	assert_int_equal(acct_open(&again.acct, fd[1], ACCT_WRITE, &e), 0);
	accounts_look(&after, &again);
	assert_int_equal(requests_of(&after, "acme"), 12);
	assert_int_equal(requests_of(&after, "stays"), 1);
	acct_close(&writer[1]);
	accounts_table_close(&again);
	accounts_table_close(&stays);
	close(fd[0]);
	close(fd[1]);
	accounts_close(&after);
}

/* What was billed and turns out not to have been delivered: a counter waits. */
static void
test_billed(void **state)
{
	struct account a = {.value = {[ACCT_out_head] = 100, [ACCT_out_body] = 900}};

	(void)state;
	assert_int_equal(accounts_billed(&a), 1000);
	a.value[ACCT_out_undelivered] = 300;
	assert_int_equal(accounts_billed(&a), 1000);
	a.value[ACCT_out_body] += 301;
	assert_int_equal(accounts_billed(&a), 1001);
	a.value[ACCT_out_undelivered] = UINT64_MAX;
	assert_int_equal(accounts_billed(&a), 1001);
}

/* A worker's numbers that shrink or cannot be do not change the sums; more names than are
 * kept are together. */
static void
test_nonsense(void **state)
{
	const unsigned id[] = {0, 1, 1};
	struct accounts all;
	struct accounts_table t;
	struct acct writer;
	char name[16];
	int fd;

	(void)state;
	assert_int_equal(accounts_open(&all, NULL, false, NULL, &e), 0);
	assert_int_equal(accounts_create(&all, &t, 2 * ACCOUNTS_KEPT, id, &fd, &e), 0);
	writer = begin(fd);
	serve(&writer, "acme", 5);
	accounts_look(&all, &t);
	serve(&writer, "acme", (uint64_t)-3);
	accounts_look(&all, &t);
	assert_int_equal(requests_of(&all, "acme"), 5);
	serve(&writer, "acme", 1ull << 63);
	accounts_look(&all, &t);
	assert_int_equal(requests_of(&all, "acme"), 5);
	for (int i = 0; i < ACCOUNTS_KEPT + 50; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		serve(&writer, name, 1);
	}
	accounts_look(&all, &t);
	assert_int_equal(all.n, ACCOUNTS_KEPT);
	assert_true(requests_of(&all, ACCOUNTS_OTHER) >= 50);
	acct_close(&writer);
	accounts_table_close(&t);
	close(fd);
	accounts_close(&all);
}

static pid_t
start_worker(int fd)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct acct writer = begin(fd);

		serve(&writer, "acme", 7);
		/* Killed inside a send. */
		acct_intend(&writer, acct_row_find(&writer, "acme", 4), 1000);
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

/* The master before was killed; one worker is gone, too, one still works. */
static void
test_orphans(void **state)
{
	char dir[] = "/dev/shm/shoal-accounts-XXXXXX", name[2][ACCT_FILE_MAX];
	struct event_base *base = event_base_new();
	struct accounts before, after;
	struct accounts_table t[2];
	struct acct_view v;
	pid_t pid[2];
	int fd[2];

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(accounts_open(&before, dir, true, base, &e), 0);
	for (unsigned i = 0; i < 2; i++) {
		const unsigned id[] = {i, 1, 1};

		assert_int_equal(accounts_create(&before, &t[i], 16, id, &fd[i], &e), 0);
		acct_file_name(t[i].acct.head, name[i]);
		pid[i] = start_worker(fd[i]);
	}
	accounts_close(&before);
	kill(pid[0], SIGKILL);
	waitpid(pid[0], NULL, 0);
	assert_int_equal(accounts_open(&after, dir, true, base, &e), 0);
	assert_int_equal(requests_of(&after, "acme"), 7);
	assert_int_equal(t[0].acct.head->state, ACCT_CLOSED);
	assert_int_equal(t[1].acct.head->state, ACCT_LIVE);
	kill(pid[1], SIGKILL);
	while (t[1].acct.head->state == ACCT_LIVE)
		event_base_loop(base, EVLOOP_ONCE);
	waitpid(pid[1], NULL, 0);
	assert_int_equal(requests_of(&after, "acme"), 14);
	assert_int_equal(find(&after, "acme")->value[ACCT_uncertain], 2000);
	assert_true(acct_read(&t[1].acct, 3, &v));
	assert_int_equal(v.value[ACCT_uncertain], 1000);
	accounts_close(&after);
	for (int i = 0; i < 2; i++) {
		accounts_table_close(&t[i]);
		close(fd[i]);
		snprintf(e.text, sizeof(e.text), "%s/%s", dir, name[i]);
		assert_int_equal(unlink(e.text), 0);
	}
	assert_int_equal(rmdir(dir), 0);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lives),
	    cmocka_unit_test(test_rows_change_hands),
	    cmocka_unit_test(test_nonsense),
	    cmocka_unit_test(test_orphans),
	    cmocka_unit_test(test_another_image),
	    cmocka_unit_test(test_billed),
	};

	return cmocka_run_group_tests_name("master_accounts", tests, NULL, NULL);
}
