/* Reads the configuration again in a process of its own, so that the master neither waits
 * nor changes, and says what a new configuration would change.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

#include <sys/types.h>

#define PREFLIGHT_TIMEOUT_MS 60000
#define PREFLIGHT_SAID_MAX 65536

struct event;
struct event_base;

struct preflight_result {
	struct conf *conf; /* NULL: refused. Take it with conf_move(); else it is freed */
	const char *why;   /* refused: one line, as at a start; else "" */
	struct str said;   /* what a gunicorn.conf.py printed, its traceback */
	struct strlist notices; /* sentences to log as warnings */
};

struct preflight {
	pid_t pid;           /* 0: none runs */
	int answer, said;    /* owned memfds; -1: none */
	struct event *timer; /* owned; NULL: never started */
	bool late;           /* killed by the timer */
	/* The answer; `r` is gone when this returns. May start the next one. */
	void (*on_done)(void *ctx, const struct preflight_result *r);
	void *ctx;
};

/* argv is overwritten by title_set(), and this is how it is kept: one block for free().
 * NULL without memory. */
char **preflight_keep_args(int argc, char **argv);

/* Fills in nothing but on_done and ctx, which are the caller's. */
void preflight_init(struct preflight *p);
/* argv as the master was started with, file (may be NULL) instead of its --config. The
 * answer comes through preflight_reap(), at the latest after PREFLIGHT_TIMEOUT_MS. -1 also
 * while another one runs. */
NODISCARD int preflight_start(struct preflight *p, struct event_base *base, int argc,
    char *const *argv, const char *file, struct err *e);
/* For every dead child of the master: true when it was this one, after on_done. */
bool preflight_reap(struct preflight *p, pid_t pid, int status);
/* Kills one that runs, without an answer; it is reaped as a stranger. */
void preflight_finish(struct preflight *p);

enum preflight_effect {
	EFFECT_RELOAD, /* with the next generation */
	EFFECT_START,  /* only with a new start */
};

struct preflight_change {
	enum conf_id id; /* CONF_COUNT: APP itself */
	enum preflight_effect effect;
};

/* The options whose values differ, in the order of conf.def; `v` holds CONF_COUNT + 1.
 * Returns their number. */
size_t preflight_changed(
    const struct conf *old, const struct conf *new, struct preflight_change *v);
/* Puts back into `next` what only a start can change, with where it came from: what a
 * generation says about itself is what holds, and the rest stays to be told. */
NODISCARD int preflight_keep_started(
    struct conf *next, const struct conf *started, struct err *e);
