/* What the master does when tables of accounts have no room in their directory, and what it
 * reserves so that it rarely comes to that. SPDX-License-Identifier: MIT */
#include "common/acct_spare.h"
#include "master/accounts.h"
#include "master/accounts_room.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#define ROWS 16

static struct err e;

struct ledger {
	char names[8][ACCT_FILE_MAX];
	unsigned n, full, room;
	bool busy;
};

static bool
on_hand(void *ctx, const char *name, int fd)
{
	struct ledger *l = ctx;
	struct acct a;

	if (l->busy)
		return false;
	assert_int_equal(acct_open(&a, fd, ACCT_APPLY, &e), 0);
	acct_close(&a);
	assert_true(l->n < ARRAY_LEN(l->names));
	snprintf(l->names[l->n++], ACCT_FILE_MAX, "%s", name);
	return true;
}

static void
on_full(void *ctx, const char *why, size_t needed)
{
	assert_string_not_equal(why, "");
	assert_true(needed == acct_size(ROWS));
	((struct ledger *)ctx)->full++;
}

static void
on_room(void *ctx)
{
	((struct ledger *)ctx)->room++;
}

static struct held
held_of(struct ledger *l)
{
	return (struct held){
	    .hand = on_hand, .on_full = on_full, .on_room = on_room, .ctx = l};
}

/* No file may become larger than this, so that new tables fail; those reserved do not. */
static void
limit_files(rlim_t bytes)
{
	struct rlimit r;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void
open_dir(struct accounts *a, struct held *h, char dir[])
{
	strcpy(dir, "/dev/shm/shoal-held-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(accounts_open(a, dir, true, NULL, &e), 0);
	a->held = h;
}

/* In place of one that was removed, where nothing can be made. */
static void
another_dir(struct accounts *a, char dir[])
{
	strcpy(dir, "/dev/shm/shoal-held-XXXXXX");
	assert_non_null(mkdtemp(dir));
	close(a->dir_fd);
	a->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(a->dir_fd >= 0);
}

static void
create(struct accounts *a, struct accounts_table *t, unsigned slot)
{
	const unsigned id[3] = {slot, 1, 1};
	int fd;

	if (accounts_create(a, t, ROWS, id, &fd, &e) < 0)
		fail_msg("%s", e.text);
	close(fd);
}

static bool
is_file(const struct accounts *a, const struct accounts_table *t)
{
	char name[ACCT_FILE_MAX];
	struct stat st;

	acct_file_name(t->acct.head, name);
	return fstatat(a->dir_fd, name, &st, 0) == 0 &&
	       st.st_size == (off_t)acct_size(ROWS);
}

static void
drop_file(const struct accounts *a, struct accounts_table *t)
{
	char name[ACCT_FILE_MAX];

	acct_file_name(t->acct.head, name);
	accounts_table_close(t);
	assert_int_equal(unlinkat(a->dir_fd, name, 0), 0);
}

static void
test_room_is_kept_and_used(void **state)
{
	struct ledger l = {.n = 0};
	struct held h = held_of(&l);
	struct accounts_table t[2];
	struct accounts a;
	char dir[40];

	(void)state;
	open_dir(&a, &h, dir);
	for (unsigned i = 0; i < 5; i++) {
		accounts_keep_room(&a, ROWS, 2);
		assert_int_equal(acct_spare_count(a.dir_fd, ROWS), MIN(i + 1, 2));
	}
	limit_files(4096 * 4);
	accounts_keep_room(&a, ROWS, 3);
	assert_true(a.room_warned);
	for (unsigned i = 0; i < 2; i++) {
		create(&a, &t[i], i);
		assert_true(is_file(&a, &t[i]));
		assert_int_equal(acct_spare_count(a.dir_fd, ROWS), 1 - i);
	}
	limit_files(RLIM_INFINITY);
	assert_int_equal(l.n + l.full + l.room, 0);
	/* Of another size: replaced. */
	accounts_keep_room(&a, ROWS, 1);
	accounts_keep_room(&a, 2000, 1);
	assert_int_equal(acct_spare_count(a.dir_fd, 2000), 1);
	assert_int_equal(acct_spare_count(a.dir_fd, ROWS), 0);
	acct_spare_drop(a.dir_fd);
	drop_file(&a, &t[0]);
	drop_file(&a, &t[1]);
	accounts_close(&a);
	assert_int_equal(rmdir(dir), 0);
}

/* Said once, until there is room for all that is to be reserved. */
static void
test_memory_and_back(void **state)
{
	struct ledger l = {.n = 0};
	struct held h = held_of(&l);
	struct accounts_table t[3];
	struct accounts a;
	char dir[40];

	(void)state;
	open_dir(&a, &h, dir);
	assert_int_equal(rmdir(dir), 0);
	for (unsigned i = 0; i < 3; i++) {
		create(&a, &t[i], i);
		accounts_keep_room(&a, ROWS, 2);
	}
	assert_int_equal(held_count(&h), 3);
	assert_int_equal(l.n, 3);
	assert_int_equal(l.full, 1);
	assert_int_equal(l.room, 0);
	another_dir(&a, dir);
	accounts_keep_room(&a, ROWS, 2);
	assert_int_equal(l.room, 0);
	accounts_keep_room(&a, ROWS, 2);
	accounts_keep_room(&a, ROWS, 2);
	assert_int_equal(l.room, 1);
	assert_int_equal(l.full, 1);
	acct_spare_drop(a.dir_fd);
	for (unsigned i = 0; i < 3; i++)
		accounts_table_close(&t[i]);
	held_finish(&h);
	accounts_close(&a);
	assert_int_equal(rmdir(dir), 0);
}

/* Also the room that a table of many rows takes is bounded, but for one. */
static void
test_how_much_is_kept(void **state)
{
	struct ledger l = {.n = 0};
	struct held h = held_of(&l);
	struct accounts a;
	char dir[40];

	(void)state;
	open_dir(&a, &h, dir);
	for (unsigned i = 0; i < 20; i++)
		accounts_keep_room(&a, ROWS, 100);
	assert_int_equal(acct_spare_count(a.dir_fd, ROWS), ACCT_SPARES_MAX);
	acct_spare_drop(a.dir_fd);
	for (unsigned i = 0; i < 3; i++)
		accounts_keep_room(&a, 80000, 100);
	assert_int_equal(acct_spare_count(a.dir_fd, 80000), 1);
	acct_spare_drop(a.dir_fd);
	held_finish(&h);
	accounts_close(&a);
	assert_int_equal(rmdir(dir), 0);
}

/* A ledger that is not there, busy, or another one: each gets all of them, in their order.
 */
static void
test_handed_over(void **state)
{
	struct ledger l = {.busy = true};
	struct held h = held_of(&l);
	char names[3][ACCT_FILE_MAX];
	struct accounts_table t[3];
	struct accounts a;

	(void)state;
	assert_int_equal(accounts_open(&a, NULL, false, NULL, &e), 0);
	a.held = &h;
	for (unsigned i = 0; i < 3; i++) {
		create(&a, &t[i], i);
		acct_file_name(t[i].acct.head, names[i]);
	}
	held_tell(&h);
	assert_int_equal(l.n, 0);
	l.busy = false;
	held_tell(&h);
	held_tell(&h);
	assert_int_equal(l.n, 3);
	assert_int_equal(held_forget_told(&h), 3);
	held_drop(&h, names[1]);
	held_drop(&h, "seg-of-nobody");
	held_tell(&h);
	assert_int_equal(l.n, 5);
	assert_string_equal(l.names[3], names[0]);
	assert_string_equal(l.names[4], names[2]);
	/* What may be given away the ledger says, not these sums. */
	accounts_look(&a, &t[0]);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(t[i].acct.applied[ACCT_ROW_NONE].seq, 0);
		accounts_table_close(&t[i]);
	}
	held_finish(&h);
	assert_int_equal(held_count(&h), 0);
	accounts_close(&a);
}

static void
test_another_binary(void **state)
{
	struct ledger l = {.n = 0};
	struct held h = held_of(&l), next = {.v = NULL};
	struct accounts_table t;
	struct accounts a;
	struct acct same;
	json_t *json;

	(void)state;
	assert_int_equal(accounts_open(&a, NULL, false, NULL, &e), 0);
	a.held = &h;
	create(&a, &t, 3);
	json = held_to_json(&h);
	assert_int_equal(held_restore(&next, json, &e), 0);
	assert_true(next.short_of_room);
	assert_int_equal(held_count(&next), 1);
	assert_int_equal(acct_open(&same, next.v->fd, ACCT_READ, &e), 0);
	assert_memory_equal(same.head->uuid, t.acct.head->uuid, 16);
	acct_close(&same);
	free(TAKE_PTR(next.v)); /* its descriptor is the same */
	json_object_set_new(
	    json_array_get(json_object_get(json, "tables"), 0), "fd", json_integer(4000));
	assert_int_equal(held_restore(&next, json, &e), -1);
	json_decref(json);
	accounts_table_close(&t);
	held_finish(&h);
	accounts_close(&a);
}

/* The ledger could not write, and the instance ends: the next one finds files. */
static void
test_saved(void **state)
{
	struct ledger l = {.n = 0};
	struct held h = held_of(&l);
	struct accounts_table t[2];
	struct accounts a;
	struct acct saved;
	struct acct_view v;
	char dir[40], name[ACCT_FILE_MAX];
	uint64_t add[ACCT_COLUMNS] = {[ACCT_requests] = 7};

	(void)state;
	open_dir(&a, &h, dir);
	assert_int_equal(rmdir(dir), 0);
	for (unsigned i = 0; i < 2; i++)
		create(&a, &t[i], i);
	acct_commit(&t[1].acct, ACCT_ROW_NONE, add);
	acct_replay(&t[1].acct);
	assert_int_equal(held_save(&h, -1), 2);
	assert_int_equal(held_save(&h, a.dir_fd), 2);
	another_dir(&a, dir);
	assert_int_equal(held_save(&h, a.dir_fd), 0);
	acct_file_name(t[1].acct.head, name);
	AUTO_FD int fd = openat(a.dir_fd, name, O_RDWR | O_CLOEXEC);
	assert_int_equal(acct_open(&saved, fd, ACCT_READ, &e), 0);
	assert_true(acct_read(&saved, ACCT_ROW_NONE, &v));
	assert_int_equal(v.value[ACCT_requests], 7);
	assert_int_equal(saved.head->state, ACCT_CLOSED);
	acct_close(&saved);
	for (unsigned i = 0; i < 2; i++)
		drop_file(&a, &t[i]);
	held_finish(&h);
	accounts_close(&a);
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_room_is_kept_and_used),
	    cmocka_unit_test(test_memory_and_back),
	    cmocka_unit_test(test_how_much_is_kept),
	    cmocka_unit_test(test_handed_over),
	    cmocka_unit_test(test_another_binary),
	    cmocka_unit_test(test_saved),
	};

	return cmocka_run_group_tests_name("master_held", tests, NULL, NULL);
}
