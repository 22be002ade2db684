/* Preloaded into a server: its ledger gets a disk and a clock that a test has in hand.
 * Files in the directory $LEDGER_SHIM say how: sync_ms, what an fsync takes; errno, what
 * every write fails with; clock_s, what is added to the wall clock; clock, a FIFO, readable
 * when somebody has set it. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const char *dir; /* NULL: another process than the ledger */
static int clock_fd = -1;

__attribute__((constructor)) static void
begin(void)
{
	char exe[4096] = "";

	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0 &&
	    strcmp(strrchr(exe, '/'), "/shoal-ledger") == 0)
		dir = getenv("LEDGER_SHIM");
}

static long long
number(const char *name)
{
	char path[4200], text[32] = "";
	int fd, before = errno;

	if (dir == NULL)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	errno = before;
	return strtoll(text, NULL, 10);
}

static int
failing(void)
{
	int code = (int)number("errno");

	errno = code ? code : errno;
	return code;
}

static void
take_time(void)
{
	long long ms = number("sync_ms");

	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

int
fsync(int fd)
{
	take_time();
	return failing() ? -1 : (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	take_time();
	return failing() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

ssize_t
pwrite64(int fd, const void *data, size_t n, off64_t at)
{
	return failing() ? -1 : syscall(SYS_pwrite64, fd, data, n, at);
}

ssize_t
pwrite(int fd, const void *data, size_t n, off_t at)
{
	return pwrite64(fd, data, n, at);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (id == CLOCK_REALTIME)
		ts->tv_sec += number("clock_s");
	return rc;
}

time_t
time(time_t *at)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (at != NULL)
		*at = ts.tv_sec;
	return ts.tv_sec;
}

int
timerfd_create(int id, int flags)
{
	char path[4200];

	if (dir == NULL || id != CLOCK_REALTIME)
		return (int)syscall(SYS_timerfd_create, id, flags);
	snprintf(path, sizeof(path), "%s/clock", dir);
	clock_fd =
	    (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return clock_fd;
}

int
timerfd_settime(int fd, int flags, const struct itimerspec *to, struct itimerspec *before)
{
	if (fd == clock_fd && fd >= 0)
		return 0;
	return (int)syscall(SYS_timerfd_settime, fd, flags, to, before);
}
