/* Writes what a master hands to its workers, for tests that stand in for the master.
 *
 *   heritage_maker conf [OPTIONS] APP    the heritage, as JSON, its numbers 0
 *   heritage_maker seg SLOT EPOCH        a new shared segment
 *   heritage_maker board                 a new board
 *   heritage_maker accounts SLOT EPOCH   a new table of accounts
 * SPDX-License-Identifier: MIT */
#include "common/acct.h"
#include "common/board.h"
#include "common/conf_load.h"
#include "common/heritage.h"
#include "common/seg.h"

#include <stdio.h>
#include <sys/stat.h>

static int
give_up(const char *what, const struct err *e)
{
	fprintf(stderr, "heritage_maker %s: %s\n", what, e->text);
	return 1;
}

/* The whole memfd to standard output. */
static int
copy_out(int fd)
{
	static char buf[65536];
	ssize_t got;

	for (off_t at = 0; (got = pread(fd, buf, sizeof(buf), at)) > 0; at += got)
		if (fwrite(buf, 1, (size_t)got, stdout) != (size_t)got)
			return 1;
	return fflush(stdout) == 0 ? 0 : 1;
}

static int
make_conf(int argc, char **argv)
{
	struct heritage h = {0};
	struct conf_action action;
	struct err e = {""};
	int fd;

	conf_init(&h.conf);
	if (conf_load(&h.conf, argc, argv, &action, &e) < 0)
		return give_up("conf", &e);
	fd = heritage_write(&h, &e);
	return fd < 0 ? give_up("conf", &e) : copy_out(fd);
}

static int
make_accounts(char **argv)
{
	const unsigned id[] = {(unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]), 1};
	struct acct a;
	struct err e;
	int fd;

	return acct_create(&a, -1, 64, id, &fd, &e) < 0 ? give_up("accounts", &e)
							: copy_out(fd);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct err e = {"usage: conf, seg, board or accounts"};
	int fd = -1;

	if (strcmp(what, "conf") == 0)
		return make_conf(argc - 1, argv + 1);
	if (strcmp(what, "seg") == 0 && argc == 4 &&
	    seg_create((unsigned)atoi(argv[2]), 1, (unsigned)atoi(argv[3]), &fd, &e))
		return copy_out(fd);
	if (strcmp(what, "board") == 0 && board_create(&fd, &e) != NULL)
		return copy_out(fd);
	if (strcmp(what, "accounts") == 0 && argc == 4)
		return make_accounts(argv);
	return give_up(what, &e);
}
