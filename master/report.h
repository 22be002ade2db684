/* Says how a worker ended and what it was doing. SPDX-License-Identifier: MIT */
#pragma once

#include "common/seg.h"

#include <sys/types.h>

struct report {
	unsigned slot;
	pid_t pid;
	int status;    /* waitpid's */
	bool expected; /* it was asked to go */
	int64_t life_ms;
};

/* "status=3", "signal=SIGSEGV core=yes": what an operator looks for. */
size_t report_cause(int status, char *buf, size_t max);
/* One line for the exit, and for an unexpected one a line for each request that was in
 * the worker. The segment may hold anything: the worker wrote it. seg may be NULL. */
void report_exit(const struct report *r, const struct seg *seg);
