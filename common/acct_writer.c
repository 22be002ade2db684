/* Which process writes a table of accounts, and whether it lives: a pid alone may be
 * another's by now. SPDX-License-Identifier: MIT */
#include "common/acct_row.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>

uint64_t
acct_process_start(int32_t pid)
{
	char path[32] = "/proc/self/stat", text[1024];
	AUTO_FD int fd = -1;
	ssize_t n;
	char *p;

	if (pid > 0)
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* The name before it may contain anything, its last bracket ends it. */
	p = strrchr(text, ')');
	for (int field = 2; p != NULL && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p == NULL ? 0 : strtoull(p, NULL, 10);
}

int
acct_writer_open(const struct acct *a)
{
	int32_t pid = atomic_load(&a->head->pid);
	AUTO_FD int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	/* After it is open: a number used again meanwhile began later. One that nobody has
	 * reaped yet is readable. */
	if (fd < 0 || acct_process_start(pid) != atomic_load(&a->head->pid_start) ||
	    poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) > 0)
		return -1;
	return TAKE_FD(fd);
}
