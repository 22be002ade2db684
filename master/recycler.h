/* Replaces workers that have lived long enough: one at a time, the replacement first.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/backoff.h"

struct fleet;
struct proc;

/* Zeroed is a fine start. */
struct recycler {
	unsigned slot, epoch; /* of the replacement that is coming; epoch 0: none */
	int64_t not_before_ms;
	struct backoff backoff; /* of replacements that did not come up */
};

/* Whether it is a good moment to begin. */
bool recycler_is_free(struct recycler *r, struct fleet *f, int64_t now_ms);
/* Begins when one of its limits is reached: its reason, else PROC_REASONS. Draws the limits
 * of a worker seen for the first time. */
unsigned recycler_look(struct recycler *r, struct fleet *f, struct proc *p, int64_t now_ms);
