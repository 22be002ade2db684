/* What the kernel says about a process. Files of /proc, which answer at once; a process
 * that is gone, or somebody else's, has no figures. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <sys/types.h>

/* All: -1 when it cannot be told. */
int64_t procfs_rss(pid_t pid); /* bytes, from statm: cheap */
int procfs_threads(pid_t pid);
/* When it began, in clock ticks since boot: with the pid it names one process for ever. */
int64_t procfs_start_ticks(pid_t pid);
int procfs_fds(pid_t pid);         /* open descriptors; looks at each */
int64_t procfs_max_fds(pid_t pid); /* how many there may be; unlimited: not told */
/* Whether the process handles the signal itself, that is, will not die of it. */
bool procfs_catches(pid_t pid, int sig);
/* What crossed all network cards since boot, the loopback left out. -1: it cannot be told.
 */
struct procfs_nic {
	int64_t in_bytes, out_bytes;
};
struct procfs_nic procfs_nic(void);
/* How often the kernel killed for want of memory in the caller's cgroup (v2). */
int64_t procfs_oom_kills(void);

struct procfs_stat {
	uint64_t user_ticks,
	    system_ticks; /* also of one that ended and was not waited for */
	int64_t vsz_bytes, rss_bytes;
	int threads;
};
NODISCARD bool procfs_stat(pid_t pid, struct procfs_stat *to);

/* From smaps_rollup: walks every page table, which takes milliseconds of a large process,
 * and is for those only who may trace it. */
struct procfs_memory {
	int64_t pss_bytes, uss_bytes;
};
NODISCARD bool procfs_memory(pid_t pid, struct procfs_memory *to);

/* The parts that read: one number behind a key at the beginning of a line, decimal. */
int64_t procfs_number(struct str text, const char *key);
bool procfs_parse_usage(struct str stat, struct procfs_stat *to);
bool procfs_parse_memory(struct str smaps_rollup, struct procfs_memory *to);
struct procfs_nic procfs_parse_nic(struct str text);
bool procfs_parse_catches(struct str status, int sig);
/* The cgroup v2 line of /proc/PID/cgroup; length 0: none. */
struct str procfs_parse_cgroup(struct str text);
