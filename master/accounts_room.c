/* Reserves room for tables of accounts. SPDX-License-Identifier: MIT */
#include "master/accounts_room.h"

#include "common/acct_spare.h"
#include "common/log.h"
#include "master/accounts.h"

#include <sys/statvfs.h>

static unsigned
wanted(unsigned rows, unsigned workers)
{
	size_t n = MIN((size_t)workers, ACCOUNTS_ROOM_BYTES / acct_size(rows));

	return (unsigned)MAX(MIN(n, (size_t)ACCT_SPARES_MAX), (size_t)1);
}

/* Others live in this tmpfs, too: most of what is free is theirs, until tables have been
 * without room. */
#define SHARE 4

static bool
has_room(const struct accounts *a, size_t bytes)
{
	struct statvfs fs;

	return fstatvfs(a->dir_fd, &fs) < 0 || fs.f_blocks == 0 ||
	       (uint64_t)fs.f_bavail * fs.f_frsize >= bytes;
}

static void
warn(struct accounts *a, unsigned have)
{
	if (a->room_warned)
		return;
	a->room_warned = true;
	log_warn("accounts", "no room to reserve tables for the next workers",
	    "reserved=%u advice=\"free room in the runtime directory, or "
	    "make its tmpfs larger\"",
	    have);
}

/* One at a time: each takes a moment, in which the master does nothing else. */
static bool
add_one(struct accounts *a, unsigned rows, unsigned have)
{
	const bool needed = a->held != NULL && a->held->short_of_room;
	const size_t size = acct_size(rows);
	struct err e;

	if (!needed && have > 0 && has_room(a, size) && !has_room(a, SHARE * size))
		return false;
	/* Tried without room, it would take what there is from others for a moment. */
	if (has_room(a, size) && acct_spare_add(a->dir_fd, rows, &e) == 0)
		return true;
	warn(a, have);
	return false;
}

void
accounts_keep_room(struct accounts *a, unsigned rows, unsigned workers)
{
	const unsigned want = wanted(rows, workers);
	unsigned have;

	if (a->dir_fd < 0)
		return;
	have = acct_spare_count(a->dir_fd, rows);
	if (have < want)
		have += add_one(a, rows, have);
	if (have < want)
		return;
	a->room_warned = false;
	if (a->held != NULL)
		held_set_room(a->held);
}
