/* Jobs: what takes longer than an answer may (reload, scale, upgrade ...), who asked for
 * it, how far it is and how it ended. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <jansson.h>
#include <sys/types.h>

#define JOBS_KEPT 50
#define JOB_TEXT_MAX 65536
#define JOB_EVENT_TEXT_MAX 4096

enum job_kind {
	JOB_RELOAD,   /* r-N */
	JOB_ROLLBACK, /* r-N, too */
	JOB_CHECK,    /* k-N: a reload that changes nothing */
	JOB_SCALE,    /* s-N */
	JOB_RECYCLE,  /* c-N */
	JOB_DRAIN,    /* d-N */
	JOB_STOP,     /* x-N */
	JOB_UPGRADE,  /* u-N */
	JOB_KINDS
};

enum job_state {
	JOB_QUEUED,
	JOB_PREFLIGHT, /* configuration, then the mold or the probe loads the application */
	JOB_BOOTING,
	JOB_SWITCHING,
	JOB_DRAINING,
	JOB_SOAKING,
	JOB_ROLLING_BACK,
	/* Final: */
	JOB_DONE,
	JOB_ROLLED_BACK,
	JOB_FAILED,
	JOB_CANCELLED,
	JOB_STATES
};

/* Who asked: a client of the control socket, a signal, a file that changed. */
struct job_by {
	uid_t uid;
	pid_t pid;
	char comm[32]; /* "shoalctl", "SIGHUP", "file watch" */
};

struct job {
	unsigned number;
	char id[16];
	enum job_kind kind;
	enum job_state state;
	struct job_by by;
	char token[128]; /* "" or the caller's: makes a repeated request the same job */
	double started, ended;                   /* Unix time; 0: not yet */
	unsigned generation_from, generation_to; /* 0: does not apply */
	unsigned done, total;                    /* workers */
	char stage[32]; /* where it failed: "config", "import", "probe", "check_url" ... */
	char why[256];  /* one sentence; "": none */
	char warning[128]; /* what to know although it went well; "": nothing */
	char *traceback;   /* owned; NULL: none */
	char *stderr_tail; /* owned; NULL: none */
	json_t *result;    /* owned; what the method answers beside the job; NULL: none */
	json_t *steps;     /* owned array of {"state","t", ...} */
};

struct jobs {
	struct job *v[JOBS_KEPT]; /* owned; newest last */
	size_t n;
	unsigned last_number;
	char *state_file; /* owned; jobs.json in the state directory; NULL: not kept */
	/* After each change of a job; NULL: nobody. */
	void (*on_change)(void *ctx, const struct job *j);
	void *ctx;
};

NODISCARD int jobs_init(struct jobs *js, const char *state_dir, struct err *e);
void jobs_finish(struct jobs *js);

/* A new job, or NULL: another one of its class runs (*busy is its id: reload, rollback,
 * scale, recycle, upgrade and stop exclude each other; stop is never refused). The oldest
 * final one makes room. A token seen in the last ten minutes gives that job. */
struct job *job_start(struct jobs *js, enum job_kind kind, const struct job_by *by,
    const char *token, const char **busy);
/* The next state (or the same again, with more done). detail (may be NULL) is stolen and
 * goes into the step. */
void job_step(struct jobs *js, struct job *j, enum job_state state, json_t *detail);
/* The end: state is a final one; stage, why and traceback may be NULL. */
void job_end(struct jobs *js, struct job *j, enum job_state state, const char *stage,
    const char *why, struct str traceback);
struct job *jobs_find(struct jobs *js, const char *id);
/* The one of the exclusive class that runs; NULL: none. */
struct job *jobs_running(struct jobs *js);
bool job_is_final(const struct job *j);
const char *job_kind_name(enum job_kind k);
const char *job_state_name(enum job_state s);
json_t *job_to_json(const struct job *j); /* new reference */
/* As events carry it: without its history, which jobs.get has. New reference. */
json_t *job_to_event(const struct job *j);
/* All of them, for a master that takes over; and back. */
json_t *jobs_to_json(const struct jobs *js);
NODISCARD int jobs_from_json(struct jobs *js, const json_t *v, struct err *e);
