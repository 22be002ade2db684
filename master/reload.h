/* Reload as a job: configuration, mold, probe, replacement, drain, soak, and the way back.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/job.h"

struct fleet_events;
struct master;

struct reload_params {
	bool bluegreen; /* all new workers first, then switch; else `surge` at a time */
	unsigned surge; /* from 1 */
	int64_t boot_timeout_ms, drain_timeout_ms;
	int64_t soak_ms;   /* 0: none */
	unsigned canaries; /* slots that go first and soak alone; 0: all */
	double max_error_ratio;
	int64_t keep_old_ms;  /* how long `rollback` is possible afterwards */
	char check_url[1024]; /* path; "": none */
	char token[128];
};

/* What the options say. */
void reload_params_default(const struct master *m, struct reload_params *p);
/* The job, or NULL: busy (its id), or the instance is stopping (*busy = NULL). */
struct job *reload_start(struct master *m, const struct reload_params *p,
    const struct job_by *by, const char **busy);
/* Loads configuration and application (canary), changes nothing; its job is final when the
 * answer is known. */
struct job *reload_check(
    struct master *m, bool canary, const struct job_by *by, const char **busy);
/* Back to the generation before. NULL and e: there is none to go back to. */
struct job *reload_rollback(
    struct master *m, const struct job_by *by, const char **busy, struct err *e);
/* Takes back a reload that has not finished. -1: e. */
NODISCARD int reload_cancel(struct master *m, struct job *j, struct err *e);
/* Number of the generation `rollback` would go to; 0: none. */
unsigned reload_previous(const struct master *m);
