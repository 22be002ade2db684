/* One log's file as the writer thread sees it: a load of records, the descriptor it goes
 * to, and what to do when that takes no more. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#define LOGW_NO_SWITCH SIZE_MAX
#define LOGW_RETRY_MS 1000 /* after ENOSPC and the like, and for a stall at a reopening */

struct logw_file {
	const char *name;    /* of the stream, for reports */
	int fd;              /* owned; -1: the stream is off */
	bool paced;          /* a pipe, a socket, a terminal: may stall */
	char *p;             /* borrowed from the stream's two buffers */
	size_t n, off;       /* the load, and how much of it is written */
	size_t switch_at;    /* where in the load next_fd takes over; LOGW_NO_SWITCH */
	int next_fd;         /* owned; -1 */
	uint64_t retry_ns;   /* no attempt before; 0: none pending */
	uint64_t stalled_ns; /* since when it takes nothing; 0: it does */
	uint64_t failure_reported_ns, drops_reported_ns;
	uint64_t drops_reported;
};

/* CLOCK_MONOTONIC. */
uint64_t logw_now_ns(void);

/* Closes the descriptor it had and takes over fd. */
void logw_file_use(struct logw_file *f, int fd);
/* Makes the pending switch now. */
void logw_file_switch(struct logw_file *f);
/* Writes until the load is gone (true) or the file takes no more for now (false). */
bool logw_file_drain(struct logw_file *f);
/* Writes one record past the load, waiting a bounded time; false: lost. */
bool logw_file_write_direct(struct logw_file *f, const char *p, size_t n);
/* Says once a minute that records were dropped; `dropped` counts all since the start. */
void logw_file_report_drops(struct logw_file *f, uint64_t dropped);
