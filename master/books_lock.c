/* Who may write to a database. SPDX-License-Identifier: MIT */
#include "master/books_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define PAUSE_NS 100000000

/* The number is one of the other's namespace, which need not be ours: it is shown and never
 * looked for. */
static int
refuse_other(int fd, const char *database, struct err *e)
{
	char owner[32] = "";

	if (pread(fd, owner, sizeof(owner) - 1, 0) < 0)
		owner[0] = '\0';
	owner[strcspn(owner, "\n")] = '\0';
	return err_set(e,
	    "the ledger %s is in use by another instance%s%s; give each its own --ledger",
	    database, owner[0] ? ", master pid " : "", owner);
}

/* -1 and an empty e: the disk does not let us. */
static int
open_file(struct books_lock *l, struct err *e)
{
	char path[PATH_MAX + 8];
	int fd;

	e->text[0] = '\0';
	snprintf(path, sizeof(path), "%s.lock", l->database);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	l->blocked = 0;
	if (fd < 0 && (errno == ENOSPC || errno == EROFS || errno == EDQUOT))
		l->blocked = errno;
	else if (fd < 0)
		err_errno(e, "--ledger: %s", path);
	return fd;
}

static int
lock_whole(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB);
}

/* Of another kind than flock()'s, so that one file can have both. */
static int
lock_place(int fd)
{
	struct flock first_byte = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &first_byte);
}

static int
try_lock(int fd, int (*lock)(int fd), int tries)
{
	while (lock(fd) < 0) {
		if ((errno != EAGAIN && errno != EACCES) || --tries <= 0)
			return -1;
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	}
	return 0;
}

static int
take_place(struct books_lock *l, int tries, struct err *e)
{
	AUTO_FD int fd = open_file(l, e);

	if (fd < 0)
		return e->text[0] != '\0' ? -1 : 0;
	if (try_lock(fd, lock_place, tries) < 0)
		return refuse_other(fd, l->database, e);
	if (ftruncate(fd, 0) == 0)
		dprintf(fd, "%d\n", (int)getpid());
	l->place_fd = TAKE_FD(fd);
	return 0;
}

int
books_lock_take(struct books_lock *l, int tries, struct err *e)
{
	AUTO_FD int fd = -1;

	if (l->place_fd < 0 && take_place(l, tries, e) < 0)
		return -1;
	if (l->place_fd < 0 || l->fd >= 0)
		return 0;
	fd = open_file(l, e);
	if (fd < 0)
		return e->text[0] != '\0' ? -1 : 0;
	if (try_lock(fd, lock_whole, tries) == 0)
		l->fd = TAKE_FD(fd);
	return 0;
}

void
books_lock_drop(struct books_lock *l)
{
	if (l->fd >= 0)
		close(TAKE_FD(l->fd));
	if (l->place_fd >= 0)
		close(TAKE_FD(l->place_fd));
}
