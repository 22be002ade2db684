/* How many workers were started and why, and how they ended, since the instance began.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/proc.h"

#include <jansson.h>

#define TALLY_SIGNALS 65 /* by number; 0: it ended by itself */

/* Why a worker is started. */
enum spawn_reason {
	SPAWN_START, /* with the instance */
	SPAWN_SCALE,
	SPAWN_RELOAD, /* to another generation or back */
	SPAWN_CRASH,  /* in place of one that ended unasked */
	SPAWN_MAX_REQUESTS,
	SPAWN_LIFETIME,
	SPAWN_MEMORY,
	SPAWN_TIMEOUT, /* in place of one that hangs */
	SPAWN_MANUAL,
	SPAWN_REASONS
};

struct tally {
	uint64_t spawns[SPAWN_REASONS];
	uint64_t exits[PROC_REASONS][TALLY_SIGNALS];
};

/* Of the one that comes in place of a worker that went, or goes, for this. */
enum spawn_reason tally_reason(enum proc_reason gone);
/* status: waitpid's. */
void tally_exit(struct tally *t, enum proc_reason why, int status);
/* {"spawns":{"start":2,..},"exits":[{"reason":"crashed","signal":"SIGKILL","count":1},..]}:
 * every reason is there, also one that has not happened. */
json_t *tally_to_json(const struct tally *t);
void tally_restore(struct tally *t, const json_t *from);
