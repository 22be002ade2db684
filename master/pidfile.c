/* The file that names the running master: complete from its first moment, locked while the
 * master lives, removed by who wrote it. SPDX-License-Identifier: MIT */
#include "master/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#define ATTEMPTS 10 /* somebody may remove or replace the file under our hands */

static bool
is_same_file(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* 0 when there is no number in it. */
static pid_t
read_pid(int fd)
{
	char text[32] = "";
	long v;

	if (pread(fd, text, sizeof(text) - 1, 0) < 1)
		return 0;
	v = strtol(text, NULL, 10);
	return v > 0 && v <= INT32_MAX ? (pid_t)v : 0;
}

/* A file of our own under a passing name, written and locked. */
static int
write_new(const char *tmp, struct err *e)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	AUTO_FD int fd =
	    open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return err_errno(e, "cannot write pid file %s", tmp);
	if (write(fd, text, (size_t)n) != n || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		err_errno(e, "cannot write pid file %s", tmp);
		unlink(tmp);
		return -1;
	}
	return TAKE_FD(fd);
}

/* The name is taken: 1 when it was replaced, 0 to try again, -1 when somebody lives there.
 */
static int
replace_stale(const char *tmp, const char *path, struct err *e)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool locked;
	pid_t pid;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "cannot read pid file %s", path);
	locked = flock(fd, LOCK_EX | LOCK_NB) < 0;
	pid = read_pid(fd);
	if (locked || (pid > 0 && pid != getpid() && (kill(pid, 0) == 0 || errno == EPERM)))
		return err_set(e,
		    "pid file %s belongs to process %d, which is running: stop it, or "
		    "choose "
		    "another file with --pid",
		    path, (int)pid);
	if (!is_same_file(fd, path))
		return 0;
	if (rename(tmp, path) < 0)
		return err_errno(e, "cannot replace pid file %s", path);
	return 1;
}

static int
install(const char *tmp, const char *path, struct err *e)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		int done;

		/* link, unlike rename, fails when somebody was faster. */
		if (link(tmp, path) == 0) {
			unlink(tmp);
			return 0;
		}
		if (errno != EEXIST)
			return err_errno(e, "cannot write pid file %s", path);
		done = replace_stale(tmp, path, e);
		if (done != 0)
			return done < 0 ? -1 : 0;
	}
	return err_set(e, "pid file %s keeps changing: is another shoal starting?", path);
}

int
pidfile_open(struct pidfile *p, const char *path, struct err *e)
{
	char tmp[sizeof(p->path) + 32];

	p->fd = -1;
	if (path == NULL)
		return 0;
	if (strlen(path) >= sizeof(p->path))
		return err_set(e, "the path of the pid file is too long");
	snprintf(tmp, sizeof(tmp), "%s.%d.new", path, (int)getpid());
	unlink(tmp);
	p->fd = write_new(tmp, e);
	if (p->fd < 0)
		return -1;
	if (install(tmp, path, e) < 0) {
		unlink(tmp);
		close(p->fd);
		p->fd = -1;
		return -1;
	}
	strcpy(p->path, path);
	return 0;
}

void
pidfile_close(struct pidfile *p)
{
	if (p->fd < 0)
		return;
	if (is_same_file(p->fd, p->path))
		unlink(p->path);
	close(p->fd);
	p->fd = -1;
}
