/* What one process uses, as the kernel says: figures that are cheap to read, and those of
 * which a large process costs milliseconds. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <sys/types.h>

/* Zeroed is a fine start; a zero in the int64_t members: not known. */
struct usage {
	uint64_t user_ticks,
	    system_ticks; /* of the process alone; never less than before */
	int64_t rss_bytes, vsz_bytes;
	int64_t read_ms; /* of these, monotonic; 0: never */
	unsigned round;  /* the meter's */
	/* Below: of usage_look_closer(). */
	int64_t pss_bytes, uss_bytes; /* shared pages divided by their users; own pages */
	int64_t fds, max_fds;
	int64_t looked_ms; /* monotonic; 0: never */
};

/* Some 10 us. What cannot be read stays, memory is not known then. */
void usage_look(struct usage *u, pid_t pid, int64_t now_ms);
/* Walks the page tables (memory that cannot be read is not known) and counts descriptors.
 */
void usage_look_closer(struct usage *u, pid_t pid, int64_t now_ms);
/* Adds what is known of one to another, processor time included. */
void usage_add(struct usage *to, const struct usage *u);
