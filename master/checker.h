/* Reads configurations to see what they would be, for whoever asks; nothing is changed and
 * nothing waits. SPDX-License-Identifier: MIT */
#pragma once

#include "master/preflight.h"

#define CHECKER_MAX 4 /* processes at a time */

struct check;

/* Fill in the first three; the rest zeroed. */
struct checker {
	struct event_base *base; /* borrowed */
	int argc;
	char *const *argv;     /* borrowed; as the master was started with */
	struct check *running; /* owned list */
};

typedef void checker_fn(void *ctx, const struct preflight_result *r);

/* The files on disk now; `file` (may be NULL) in place of --config. on_done comes once,
 * unless checker_forget comes first. */
NODISCARD int checker_start(
    struct checker *c, const char *file, checker_fn *on_done, void *ctx, struct err *e);
/* For every dead child of the master: true when it was one of these. */
bool checker_reap(struct checker *c, pid_t pid, int status);
/* Ends what was started for ctx. */
void checker_forget(struct checker *c, void *ctx);
void checker_finish(struct checker *c);

/* Where a refusal points to: the option's key ("" when it names none) and a place in a file
 * (0: none). key holds CHECKER_KEY_MAX. */
#define CHECKER_KEY_MAX 64
struct checker_place {
	char key[CHECKER_KEY_MAX];
	int line, column;
};
void checker_find_place(const char *why, struct checker_place *place);
