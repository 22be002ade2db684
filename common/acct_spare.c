/* Room for tables of accounts, reserved. SPDX-License-Identifier: MIT */
#include "common/acct_spare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define UNFINISHED "unfinished" /* a table that is being copied */
#define BLOCK 512 /* the unit of st_blocks, whatever a file system's blocks are */

static void
name_spare(unsigned n, char name[ACCT_FILE_MAX])
{
	snprintf(name, ACCT_FILE_MAX, "spare-%u", n);
}

/* With all of its blocks: a hole would be a SIGBUS in whoever gets it. */
static bool
is_whole(const struct stat *st, size_t size)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() &&
	       st->st_size == (off_t)size && (size_t)st->st_blocks * BLOCK >= size;
}

unsigned
acct_spare_count(int dir_fd, unsigned rows)
{
	const size_t size = acct_size(rows);
	char name[ACCT_FILE_MAX];
	unsigned count = 0;
	struct stat st;

	for (unsigned n = 0; n < ACCT_SPARES_MAX; n++) {
		name_spare(n, name);
		count += fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			 is_whole(&st, size);
	}
	return count;
}

static int
make(int dir_fd, const char *name, size_t size, struct err *e)
{
	AUTO_FD int fd =
	    openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(e, "accounts: %s", name);
	if (acct_allocate(fd, size, e) == 0)
		return 0;
	(void)unlinkat(dir_fd, name, 0);
	return -1;
}

int
acct_spare_add(int dir_fd, unsigned rows, struct err *e)
{
	const size_t size = acct_size(rows);
	char name[ACCT_FILE_MAX];
	struct stat st;

	for (unsigned n = 0; n < ACCT_SPARES_MAX; n++) {
		name_spare(n, name);
		if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			if (is_whole(&st, size))
				continue;
			(void)unlinkat(dir_fd, name, 0);
		}
		return make(dir_fd, name, size, e);
	}
	return err_set(
	    e, "accounts: there are %d reserved tables already", ACCT_SPARES_MAX);
}

void
acct_spare_drop(int dir_fd)
{
	char name[ACCT_FILE_MAX];

	for (unsigned n = 0; n < ACCT_SPARES_MAX; n++) {
		name_spare(n, name);
		(void)unlinkat(dir_fd, name, 0);
	}
	(void)unlinkat(dir_fd, UNFINISHED, 0);
}

int
acct_spare_open(int dir_fd, size_t size, char name[ACCT_FILE_MAX])
{
	struct stat st;

	for (unsigned n = 0; n < ACCT_SPARES_MAX; n++) {
		AUTO_FD int fd = -1;

		name_spare(n, name);
		fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd >= 0 && fstat(fd, &st) == 0 && is_whole(&st, size))
			return TAKE_FD(fd);
	}
	return -1;
}

static int
copy(int to, int from, off_t size, struct err *e)
{
	off_t at = 0;

	while (at < size)
		if (sendfile(to, from, &at, (size_t)(size - at)) <= 0)
			return err_errno(e, "accounts: a table cannot be copied");
	return 0;
}

int
acct_spare_fill(int dir_fd, int from, const char *name, struct err *e)
{
	char spare[ACCT_FILE_MAX];
	AUTO_FD int to = -1;
	struct stat st;

	if (fstat(from, &st) < 0)
		return err_errno(e, "accounts: a table in memory");
	(void)unlinkat(dir_fd, UNFINISHED, 0);
	if (make(dir_fd, UNFINISHED, (size_t)st.st_size, e) == 0) {
		to = openat(dir_fd, UNFINISHED, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	} else {
		/* No longer reserved from here on: whoever is killed in the middle of the
		 * copy leaves nothing that passes for an empty table. */
		to = acct_spare_open(dir_fd, (size_t)st.st_size, spare);
		if (to >= 0 && renameat(dir_fd, spare, dir_fd, UNFINISHED) < 0)
			return err_errno(e, "accounts: a reserved table");
	}
	if (to < 0)
		return -1;
	if (copy(to, from, st.st_size, e) == 0 &&
	    renameat(dir_fd, UNFINISHED, dir_fd, name) == 0)
		return 0;
	(void)unlinkat(dir_fd, UNFINISHED, 0);
	return -1;
}
