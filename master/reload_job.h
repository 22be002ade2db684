/* The one reload that may run at a time, as its parts see it. Internal to reload*.c.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/generation.h"
#include "master/preflight.h"
#include "master/reload.h"

struct event;

enum reload_phase {
	RELOAD_NONE,
	RELOAD_CONFIG,  /* a child reads the configuration */
	RELOAD_MOLD,    /* the mold imports the application */
	RELOAD_PROBE,   /* a parked worker of the new generation boots */
	RELOAD_ASK,     /* it answers --check-url */
	RELOAD_REPLACE, /* slot after slot gets a new worker */
	RELOAD_SOAK,    /* the new ones serve, the old ones wait */
	RELOAD_DRAIN,   /* the old ones finish; no way back from here but a rollback */
	RELOAD_BACK,    /* the old generation takes its slots back */
};

/* Requests and failures of a generation's workers. */
struct reload_tally {
	uint64_t requests, errors;
};

struct reload {
	struct master *m; /* borrowed */
	enum reload_phase phase;
	struct job *job; /* borrowed of m->jobs; NULL: none runs */
	struct reload_params params;
	bool check_only; /* nothing is to be changed */
	bool canary;     /* check_only: load the application, too */
	bool switched;   /* a worker of `next` has served */
	bool soaked;
	bool shedding; /* old workers were told to */
	struct generation *next;     /* a reference; where this job goes */
	struct generation *previous; /* a reference; where a rollback would go; NULL */
	struct proc *probe;          /* borrowed; NULL: none */
	struct said *said;           /* owned; check_only: what next writes; NULL: none */
	struct preflight preflight;
	struct event *timer;            /* owned: the present step's */
	struct event *soak_timer;       /* owned: a second */
	struct event *keep_timer;       /* owned: lets `previous` go */
	int64_t soak_ends_ms;           /* monotonic */
	struct reload_tally old_before; /* at the start of the soak */
	uint64_t new_before;            /* requests then: the self-check is one */
	char last_job[16];              /* id of the last reload that was done; "": none */
	char again[32];      /* who asked for another while this one runs; "": nobody */
	char fail_stage[32]; /* RELOAD_BACK: why */
	char fail_why[256];
	char *fail_text; /* owned; NULL: none */
};

/* reload.c */
void reload_arm(struct reload *r, int64_t ms);
void reload_fail(struct reload *r, const char *stage, const char *why, struct str text);
/* The same with the final state to be told when nothing had changed yet. */
void reload_stop(struct reload *r, enum job_state state, const char *stage, const char *why,
    struct str text);
void reload_read_config(struct reload *r);
void reload_end(struct reload *r, enum job_state state, const char *stage, const char *why,
    struct str text);
/* reload_roll.c: brings slots to r->next, some at a time; and back. */
void reload_probe(struct reload *r);
void reload_roll(struct reload *r);
void reload_finish(struct reload *r);
void reload_check_drained(struct reload *r);
void reload_back(struct reload *r);
void reload_roll_back(struct reload *r);
/* reload_soak.c */
void reload_soak_start(struct reload *r);
/* A second has passed: sets `why` and returns true when the new generation fails more. */
bool reload_soak_bad(const struct reload *r, bool last, char *why, size_t max);
/* It has ended well: says so in the job when there was nothing to judge by. */
void reload_soak_end(struct reload *r);
/* Whatever became of it: no more ticks, and clients stay where they are again. */
void reload_soak_stop(struct reload *r);
