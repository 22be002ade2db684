/* Finds the database's place and makes the directory of tables.
 * SPDX-License-Identifier: MIT */
#include "master/books_place.h"

#include "common/siphash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define DATABASE_NAME "ledger.db"
/* A master that ends lets go of it in this time. */
#define LOCK_TRIES 10
#define LOCK_PAUSE_NS 100000000

bool
books_find_database(const struct conf *c, char *path, size_t max)
{
	const char *state = c->state_dir ? c->state_dir : getenv("STATE_DIRECTORY");

	if (c->ledger != NULL && strcmp(c->ledger, "none") == 0)
		return false;
	if (c->ledger != NULL && c->ledger[0] != '\0')
		snprintf(path, max, "%s", c->ledger);
	else if (state != NULL && state[0] != '\0')
		/* systemd separates several by colons. */
		snprintf(path, max, "%.*s/" DATABASE_NAME, (int)strcspn(state, ":"), state);
	else
		return false;
	return true;
}

int
books_make_absolute(char *path, size_t max, struct err *e)
{
	char cwd[PATH_MAX / 2], given[PATH_MAX / 2];

	if (path[0] == '/')
		return 0;
	if (strlen(path) >= sizeof(given) || getcwd(cwd, sizeof(cwd)) == NULL)
		return err_set(e, "--ledger %s: cannot be made an absolute path", path);
	snprintf(given, sizeof(given), "%s", path);
	snprintf(path, max, "%s/%s", cwd, given);
	return 0;
}

/* systemd separates several by colons. */
static bool
find_runtime_dir(struct str *dir)
{
	const char *runtime = getenv("RUNTIME_DIRECTORY");

	if (runtime == NULL || runtime[0] == '\0')
		return false;
	*dir = (struct str){(char *)runtime, strcspn(runtime, ":")};
	return true;
}

int
books_name_dir(const char *database, char *dir, size_t max, struct err *e)
{
	static const uint64_t any_key[2];
	struct str runtime;
	int n;

	if (find_runtime_dir(&runtime))
		n = snprintf(dir, max, "%.*s/accounts", (int)runtime.n, runtime.p);
	else
		n = snprintf(dir, max, "/dev/shm/shoal-%u-%016llx", (unsigned)geteuid(),
		    (unsigned long long)siphash(any_key, database, strlen(database)));
	return n > 0 && (size_t)n < max
		   ? 0
		   : err_set(e, "the path of the accounts' directory is too long");
}

/* Where somebody chose the place, only what he could not know of is forgiven. */
static bool
can_do_without(int reason)
{
	struct str dir;

	return !find_runtime_dir(&dir) || reason == ENOSPC || reason == EDQUOT ||
	       reason == EROFS || reason == ENOMEM;
}

int
books_make_dir(const char *dir, bool *without, struct err *e)
{
	AUTO_FD int fd = -1;
	struct stat st;

	*without = false;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		*without = can_do_without(errno);
		return err_errno(e,
		    "the accounts' directory %s (RUNTIME_DIRECTORY names another place)",
		    dir);
	}
	if (lstat(dir, &st) < 0)
		return err_errno(e, "the accounts' directory %s", dir);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
		return err_set(e,
		    "the accounts' directory %s must belong to uid %u, and nobody else may "
		    "write there",
		    dir, (unsigned)geteuid());
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(e, "the accounts' directory %s", dir);
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK || i >= LOCK_TRIES)
			return err_set(e,
			    "the accounts' directory %s is in use by another instance; "
			    "give each its own RUNTIME_DIRECTORY",
			    dir);
		nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
	}
	return TAKE_FD(fd);
}
