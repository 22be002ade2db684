/* The mold: a process that has loaded the application once and forks the workers of its
 * generation from there. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

struct worker;

/* What the interpreter wants to be told of. */
struct mold_ops {
	void (*before_fork)(void);
	void (*in_mold)(void);   /* after each before_fork(), in the mold */
	void (*in_worker)(void); /* the same, in the new process */
	void (*on_second)(void); /* about once a second; NULL: never */
};

/* Tells the master that forks may be asked for, and why they would be unsafe (unsafe.n = 0:
 * they are not), then does what it says. Returns in each worker that is forked, with `w`
 * made that worker's; the mold itself ends in here. The calling thread is the only one. */
void mold_serve(struct worker *w, const struct mold_ops *ops, struct str unsafe);
