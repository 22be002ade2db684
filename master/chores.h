/* Jobs that move workers without new code: another number of them, replacing some by hand,
 * taking the instance out of service, ending it. SPDX-License-Identifier: MIT */
#pragma once

#include "master/job.h"

struct chores;
struct master;
struct proc;

NODISCARD int chores_open(struct master *m, struct err *e);
void chores_close(struct master *m);

/* All four: the job, or NULL: busy (its id), or the instance is stopping (*busy = NULL). */
struct job *chores_scale(struct master *m, unsigned target, const char *token,
    const struct job_by *by, const char **busy);
/* slots: which (wanted ones only); drain_ms -1: --graceful-timeout. */
struct job *chores_recycle(struct master *m, const unsigned *slots, size_t n,
    int64_t drain_ms, const char *token, const struct job_by *by, const char **busy);
/* Readiness off, answers close their connections, accepting goes on; the job ends when no
 * connection is left, or after timeout_ms. */
struct job *chores_drain(
    struct master *m, int64_t timeout_ms, const struct job_by *by, const char **busy);
/* -1: nothing is drained. */
NODISCARD int chores_undrain(struct master *m);
bool chores_draining(const struct master *m);
#define CHORES_FAST_MS 1000
/* graceful_ms < 0: at once. A second stop ends a first one at once, unless it has time for
 * itself (more than CHORES_FAST_MS). The job is not final while the instance lives. */
struct job *chores_stop(struct master *m, int64_t graceful_ms, const struct job_by *by);

/* What the fleet reports. */
void chores_on_ready(struct master *m, struct proc *p);
void chores_on_failed(struct master *m, struct proc *p);
void chores_on_gone(struct master *m, struct proc *p);
