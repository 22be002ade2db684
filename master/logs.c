/* The log files: opened with the master's rights, reopened on request; and the master's own
 * lines, coloured on a terminal. SPDX-License-Identifier: MIT */
#include "master/logs.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/uio.h>

#define LOG_MODE 0640

/* The sink has no argument, so where it writes is the file's own state. */
static int sink_fd = STDERR_FILENO;
static bool sink_colour;

static const struct {
	const char *label, *colour;
} colours[] = {
    {"[DEBUG]", "\033[2m"},
    {"[WARNING]", "\033[33m"},
    {"[ERROR]", "\033[31m"},
    {"[CRITICAL]", "\033[1;31m"},
};

static const char *
line_colour(const char *line, size_t n)
{
	/* The label stands behind the time and the pid. */
	size_t head = MIN(n, 64);

	for (size_t i = 0; i < ARRAY_LEN(colours); i++)
		if (memmem(line, head, colours[i].label, strlen(colours[i].label)) != NULL)
			return colours[i].colour;
	return NULL;
}

static void
on_line(const char *line, size_t n)
{
	const char *colour = sink_colour ? line_colour(line, n) : NULL;
	struct pollfd p = {.fd = sink_fd, .events = POLLOUT};
	struct iovec iov[3] = {
	    {.iov_base = (char *)(colour ? colour : ""),
		.iov_len = colour ? strlen(colour) : 0},
	    {.iov_base = (char *)line, .iov_len = n},
	    {.iov_base = (char *)"\033[0m", .iov_len = colour ? 4 : 0},
	};

	/* Nobody reads the pipe behind us: better a lost line than a stuck master. */
	if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT))
		(void)!writev(sink_fd, iov, ARRAY_LEN(iov));
}

static int
open_file(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, LOG_MODE);

	return fd < 0 ? err_errno(e, "cannot open log file %s", path) : fd;
}

/* path: NULL is off, "-" is the standard stream. */
static int
open_log(const struct logs *l, const char *path, int standard, struct err *e)
{
	int fd;

	if (path == NULL || (l->daemon && strcmp(path, "-") == 0))
		return open_file("/dev/null", e);
	if (strcmp(path, "-") != 0)
		return open_file(path, e);
	fd = fcntl(standard, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return fd < 0 ? err_errno(e, "cannot duplicate descriptor %d", standard) : fd;
}

static void
aim_sink(const struct logs *l)
{
	bool standard = strcmp(l->error_path, "-") == 0;
	const char *no_color = getenv("NO_COLOR");

	/* Descriptor 2 itself, so that a daemon's lines reach the terminal while it starts.
	 */
	sink_fd = standard ? STDERR_FILENO : l->error_fd;
	sink_colour = standard && isatty(STDERR_FILENO) && (!no_color || !*no_color);
	log_set_sink(on_line);
}

int
logs_reopen(struct logs *l, struct err *e)
{
	AUTO_FD int access_fd = open_log(l, l->access_path, STDOUT_FILENO, e);
	AUTO_FD int error_fd = open_log(l, l->error_path, STDERR_FILENO, e);

	if (access_fd < 0 || error_fd < 0)
		return -1;
	logs_close(l);
	l->access_fd = TAKE_FD(access_fd);
	l->error_fd = TAKE_FD(error_fd);
	aim_sink(l);
	return 0;
}

int
logs_open(struct logs *l, const struct conf *c, struct err *e)
{
	int level = log_level_parse(c->log_level);

	if (level >= 0)
		log_set_level((enum log_level)level);
	*l = (struct logs){
	    .access_fd = -1,
	    .error_fd = -1,
	    .access_path = c->access_logfile,
	    .error_path = c->error_logfile ? c->error_logfile : "-",
	    .daemon = c->daemon,
	};
	return logs_reopen(l, e);
}

void
logs_close(struct logs *l)
{
	sink_fd = STDERR_FILENO;
	if (l->access_fd >= 0)
		close(l->access_fd);
	if (l->error_fd >= 0)
		close(l->error_fd);
	l->access_fd = l->error_fd = -1;
}
