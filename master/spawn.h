/* Starts one worker process with exactly what common/heritage.h says it has.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/heritage.h"
#include "master/logs.h"
#include "master/privs.h"

#include <sys/types.h>

/* What every worker is started with; borrowed, outlives the workers. */
struct spawn_setup {
	const char *path;  /* of shoal-worker, absolute */
	const char *title; /* of the process to be started */
	char **env;
	const struct logs *logs;
	const struct privs *privs;
	int umask;     /* -1: stays as it is */
	bool detached; /* standard input is /dev/null */
	bool captured; /* standard output and error are the error log */
	const int *listener_fds;
	size_t n_listeners;
	int board_fd;
	int quota_fd;   /* -1: none */
	int64_t nofile; /* descriptors a worker may need */
};

/* The process's own descriptors, in the order of their places. */
struct spawn_fds {
	int channel, conf, seg, trace, accounts;
	int said; /* its standard error; 0: as the setup says */
};

/* Forks and execs. The descriptors stay the caller's. A child that does not come to exec
 * says why with MSG_FAILED on its channel. Returns the pid, or -1. */
NODISCARD pid_t spawn_worker(
    const struct spawn_setup *s, const struct spawn_fds *own, struct err *e);
