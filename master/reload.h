/* Reload as a job: configuration, mold, probe, replacement, soak, drain, and the way back.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/job.h"

struct master;
struct mold;
struct proc;

struct reload_params {
	bool bluegreen; /* all new workers first, then switch; else `surge` at a time */
	unsigned surge; /* from 1 */
	int64_t boot_timeout_ms;  /* for one step: the mold, the probe, each worker */
	int64_t drain_timeout_ms; /* of the old workers; -1: --graceful-timeout */
	int64_t soak_ms;          /* 0: none */
	unsigned canaries;        /* slots that go first and soak alone; 0: all */
	double max_error_ratio;
	int64_t keep_ms;      /* how long a rollback is possible afterwards */
	char check_url[1024]; /* path; "": none */
	char token[128];
};

NODISCARD int reload_open(struct master *m, struct err *e);
void reload_close(struct master *m);

/* What the options say. */
void reload_params_default(const struct master *m, struct reload_params *p);
/* The job, or NULL: busy (its id), or the instance is stopping (*busy = NULL). */
struct job *reload_start(struct master *m, const struct reload_params *p,
    const struct job_by *by, const char **busy);
/* Loads configuration and, with canary, the application in a worker that serves nobody;
 * changes nothing. Its job is final when the answer is known. NULL: as reload_start. */
struct job *reload_check(
    struct master *m, bool canary, const struct job_by *by, const char **busy);
/* Back to the generation before. NULL and busy = NULL: there is none, e says why. */
struct job *reload_rollback(
    struct master *m, const struct job_by *by, const char **busy, struct err *e);
/* Takes back a reload that has not finished. -1: e. */
NODISCARD int reload_cancel(struct master *m, struct job *j, struct err *e);
/* Whether this job is the reload that runs, or the last one that was done. */
bool reload_can_roll_back(const struct master *m, const char *job);
/* Number of the generation `rollback` would go to; 0: none. */
unsigned reload_previous(const struct master *m);

/* An upgrade's job goes on as a reload, with what the options say. */
void reload_continue(struct master *m, struct job *j);
/* The generation a rollback would go to is let go at once. */
void reload_forget_previous(struct master *m);
/* The instance stops. */
void reload_abandon(struct master *m);
/* What the fleet reports. */
void reload_on_mold(struct master *m, struct mold *mold, bool loaded, struct str text);
void reload_on_ready(struct master *m, struct proc *p);
void reload_on_failed(struct master *m, struct proc *p);
void reload_on_gone(struct master *m, struct proc *p);
void reload_on_checked(struct master *m, struct proc *p, unsigned status, struct str text);
/* A child that is no worker: true when it was the one that read the configuration. */
bool reload_on_child(struct master *m, pid_t pid, int status);
