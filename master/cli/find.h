/* Which instances run here: the sockets in the directories where masters put them.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#define FIND_MAX 256
#define FIND_DIRS_MAX 16

enum find_state {
	FIND_UP,
	FIND_STALE,    /* a file nobody listens on */
	FIND_NO_ENTRY, /* not ours to use */
};

struct find_instance {
	char name[64];
	char path[108];
	enum find_state state;
};

struct find {
	char dirs[FIND_DIRS_MAX][256];
	size_t n_dirs;
	struct find_instance v[FIND_MAX];
	size_t n;
	size_t up; /* of these */
};

/* The directories of this user and environment, in the order masters choose them. */
void find_default_dirs(struct find *f);
/* One more directory; what does not fit is left out. */
void find_add_dir(struct find *f, const char *dir);
/* Looks for *.sock in them and one level below; connects to each to see its state. */
void find_scan(struct find *f);
/* The one with that name, or (name NULL) the only one that runs. NULL: e says why, and
 * lists what there is. */
const struct find_instance *find_choose(
    const struct find *f, const char *name, struct err *e);
