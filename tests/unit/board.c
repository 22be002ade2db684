/* The board of connections: shares among the workers that accept.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/board.h"
#include "common/shm.h"

static void
set(struct board *b, unsigned slot, uint32_t accepting, uint32_t connections)
{
	board_reset(b, slot);
	b->line[slot].accepting = accepting;
	b->line[slot].connections = connections;
}

static void
test_shares(void **state)
{
	struct err e;
	int fd = -1;
	struct board *ours = board_create(&fd, &e), *theirs;

	(void)state;
	assert_non_null(ours);
	theirs = board_open(fd, &e);
	assert_non_null(theirs);
	close(fd);

	set(ours, 0, 1, 500);
	assert_false(board_has_share(theirs, 500)); /* alone */
	set(ours, 1, 1, 0);
	assert_true(board_has_share(theirs, 500));
	assert_false(board_has_share(theirs, 0));
	assert_false(board_has_share(theirs, 250)); /* the average */
	set(ours, 900, 0, 100000); /* does not accept: counts for nothing */
	assert_false(board_has_share(theirs, 250));
	set(ours, 1, 1, 480);
	assert_false(board_has_share(theirs, 500)); /* near enough */
	board_reset(ours, 1);
	assert_false(board_has_share(theirs, 500));
	board_reset(ours, BOARD_LINES + 7); /* ignored */
	board_close(ours);
	board_close(theirs);
}

static void
test_wrong_size(void **state)
{
	struct err e;
	int fd = shm_create("other", 10, &e);

	(void)state;
	assert_null(board_open(fd, &e));
	assert_non_null(strstr(e.text, "expected"));
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shares),
	    cmocka_unit_test(test_wrong_size),
	};

	return cmocka_run_group_tests_name("board", tests, NULL, NULL);
}
