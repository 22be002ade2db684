/* The verbs of shoalctl as data: what each is called, takes, sends and shows. From the
 * table come the parser, the help, the completions and the manual page.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/cli/out.h"

struct cli;
struct args;

#define VERB_FLAGS 12
#define VERB_POSITIONS 2

enum verb_group {
	VERB_LOOK,
	VERB_DEPLOY,
	VERB_WORKERS,
	VERB_INSTANCE,
	VERB_ACCOUNTS,
	VERB_LOGS,
	VERB_CONFIG,
	VERB_PROTOCOL,
	VERB_GROUPS
};

/* How a word of the command line becomes a value of the request. */
enum arg_type {
	ARG_SWITCH,  /* true, or the flag's `value` */
	ARG_NUMBER,  /* a whole number */
	ARG_RATIO,   /* 0.02 */
	ARG_SECONDS, /* a duration */
	ARG_TEXT,
	ARG_SCALE,  /* 12, +2, -1: target or delta */
	ARG_JSON,   /* an object */
	ARG_SIGNED, /* a whole number that may be below 0 */
	ARG_SIZE,   /* bytes: 10GB, 512MiB */
	ARG_WORDS,  /* a,b: an array */
};

struct arg_flag {
	char letter;      /* 0: none */
	const char *name; /* NULL: a letter only */
	const char *arg;  /* "N"; NULL: a switch. "a|b" lists the words */
	/* The request's member; NULL: for shoalctl itself, args_local() by its name. */
	const char *param;
	const char *value; /* of a switch: this string; NULL: true */
	const char *help;
	enum arg_type type;
};

struct arg_position {
	const char *title; /* "SLOT" or "a|b"; NULL: there is none */
	const char *param;
	enum arg_type type;
	bool optional;
	bool repeats; /* the last one; param becomes an array */
};

/* Returns the exit code. */
typedef int verb_fn(struct cli *c, const struct args *a);

struct verb {
	const char *name; /* one word, or two: "config get" */
	const char *help;
	enum verb_group group;
	const char *method; /* sent by verb_call() and verb_job(); NULL: see run */
	struct arg_flag flags[VERB_FLAGS];
	struct arg_position positions[VERB_POSITIONS];
	verb_fn *run;
	const struct out_view *view; /* NULL: every member of the reply */
};

extern const struct verb verbs[];
extern const size_t verbs_count;
extern const char *const verb_group_titles[VERB_GROUPS];
/* Those that may stand before and behind the verb. */
extern const struct arg_flag verb_globals[];
extern const size_t verb_globals_count;

/* By the first words of argv; *words: how many its name has. NULL: none. */
const struct verb *verb_find(char *const *argv, size_t argc, size_t *words);
/* The nearest name, for whoever mistyped; NULL: nothing is near. */
const char *verb_nearest(const char *name);
/* How sizes are read, for a verb that takes one; NULL: it takes none. */
const char *verb_size_note(const struct verb *v);
/* "SLOT..." behind the name; "" when there is none. */
const char *verb_synopsis(const struct verb *v, char *buf, size_t max);
/* shoalctl -h. */
void verb_help_all(FILE *f);
void verb_help_one(FILE *f, const struct verb *v);

/* The common ones: one request whose reply is shown ... */
verb_fn verb_call;
/* ... or starts a job, which is followed to its end unless --no-wait. */
verb_fn verb_job;

verb_fn verb_instances;                     /* verbs_server.c */
verb_fn verb_stop, verb_upgrade;            /* verbs_jobs.c */
verb_fn verb_status, verb_ping;             /* verbs_server.c */
verb_fn verb_trace;                         /* verbs_workers.c */
verb_fn verb_reload, verb_wait;             /* verbs_jobs.c */
verb_fn verb_stats, verb_history;           /* verbs_stats.c */
verb_fn verb_events, verb_logs;             /* verbs_events.c */
verb_fn verb_config_get, verb_config_check; /* verbs_config.c */
verb_fn verb_raw, verb_schema;              /* verbs_raw.c */
verb_fn verb_usage;                         /* verbs_usage.c */
verb_fn verb_top;                           /* top.c */
