/* Figures of a process, kept. SPDX-License-Identifier: MIT */
#include "master/usage.h"

#include "master/procfs.h"

void
usage_look(struct usage *u, pid_t pid, int64_t now_ms)
{
	struct procfs_stat now;

	u->read_ms = now_ms;
	if (!procfs_stat(pid, &now)) {
		u->rss_bytes = u->vsz_bytes = 0;
		return;
	}
	u->user_ticks = MAX(u->user_ticks, now.user_ticks);
	u->system_ticks = MAX(u->system_ticks, now.system_ticks);
	u->rss_bytes = now.rss_bytes;
	u->vsz_bytes = now.vsz_bytes;
}

void
usage_look_closer(struct usage *u, pid_t pid, int64_t now_ms)
{
	struct procfs_memory memory;

	u->looked_ms = now_ms;
	if (!procfs_memory(pid, &memory))
		memory = (struct procfs_memory){0, 0};
	u->pss_bytes = memory.pss_bytes;
	u->uss_bytes = memory.uss_bytes;
	u->fds = MAX(procfs_fds(pid), 0);
	u->max_fds = MAX(procfs_max_fds(pid), 0);
}

void
usage_add(struct usage *to, const struct usage *u)
{
	to->user_ticks += u->user_ticks;
	to->system_ticks += u->system_ticks;
	to->rss_bytes += u->rss_bytes;
	to->vsz_bytes += u->vsz_bytes;
	to->pss_bytes += u->pss_bytes;
	to->uss_bytes += u->uss_bytes;
	to->fds += u->fds;
	to->max_fds += u->max_fds;
}
