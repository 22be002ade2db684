/* The log writer: a bounded buffer per log and one thread that alone touches the files, so
 * that a stalled disk never stalls the loop. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

enum logw_stream { LOGW_ACCESS, LOGW_ERROR, LOGW_STREAMS };

#define LOGW_BUFFER                                                                        \
	(1024 * 1024) /* per stream; what does not fit is dropped and counted              \
		       */

/* Takes over the descriptors. The thread starts with logw_start (after any fork) and blocks
 * all signals; before that lines are written directly. */
void logw_init(int access_fd, int error_fd);
NODISCARD int logw_start(void);
/* Any thread; never blocks on I/O. Whole records only, newline included. */
void logw_write(enum logw_stream stream, const char *p, size_t n);
/* New files from now on (USR1); what was buffered goes to the old ones first. */
void logw_reopen(int access_fd, int error_fd);
/* Records dropped so far. */
uint64_t logw_dropped(enum logw_stream stream);
/* Writes out what is buffered, for at most ms milliseconds, and ends the thread. */
void logw_stop(unsigned ms);
