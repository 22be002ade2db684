/* -D: double fork, own session, and a pipe on which the waiting command hears how the start
 * went. SPDX-License-Identifier: MIT */
#include "master/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

static int report_fd = -1;

/* The command that was typed: its exit code is the daemon's word, or 1 if it died mute. */
static _Noreturn void
wait_for_report(int fd, pid_t middle)
{
	unsigned char code = 1;
	ssize_t n;

	while (waitpid(middle, NULL, 0) < 0 && errno == EINTR)
		;
	do
		n = read(fd, &code, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		fprintf(stderr, "shoal: the background process died before it was ready\n");
	_exit(code);
}

int
daemon_start(void)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid < 0)
		return -1;
	if (pid > 0) {
		close(fds[1]);
		wait_for_report(fds[0], pid);
	}
	close(fds[0]);
	/* Not a session leader afterwards, so no terminal can become its own again. */
	if (setsid() < 0)
		return -1;
	pid = fork();
	if (pid < 0)
		return -1;
	if (pid > 0)
		_exit(0);
	report_fd = fds[1];
	return 0;
}

static void
detach_stdio(void)
{
	AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
}

void
daemon_report(int exit_code)
{
	unsigned char code = (unsigned char)exit_code;

	if (report_fd < 0)
		return;
	if (exit_code == 0)
		detach_stdio();
	/* SIGPIPE is ignored: the waiting command may have been interrupted. */
	(void)!write(report_fd, &code, 1);
	close(report_fd);
	report_fd = -1;
}
