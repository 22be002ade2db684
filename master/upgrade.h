/* Upgrade in place: the master hands everything it holds to another binary and becomes it,
 * by exec: same process, same children, same listeners. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"
#include "master/job.h"

struct master;
struct upgrade;

/* The first argument with which a binary is asked whether it could take over; the second is
 * the state's descriptor. */
#define UPGRADE_CHECK_FLAG "--check-heritage"
/* What it prints last when it can. */
#define UPGRADE_CHECK_YES "shoal: can take over"
/* Names the state's descriptor to the binary that takes over. */
#define UPGRADE_FD_VARIABLE "SHOAL_UPGRADE_FD"

#define UPGRADE_STATE_MAX (64 << 20) /* bytes */

NODISCARD int upgrade_open(struct master *m, struct err *e);
void upgrade_close(struct master *m);
/* binary NULL: the path of the running one. check_only: asks it and changes nothing. The
 * job, or NULL: busy (its id), or the instance is stopping (*busy = NULL). */
struct job *upgrade_start(struct master *m, const char *binary, bool check_only,
    const char *token, const struct job_by *by, const char **busy);
/* A child that is no worker: true when it was the binary that was asked. */
bool upgrade_on_child(struct master *m, pid_t pid, int status);

/* ---- upgrade_state.c: what is handed over ---- */

/* A memfd with the state as JSON (CLOEXEC), or -1. */
NODISCARD int upgrade_state_write(const struct master *m, struct err *e);
/* Reads it back; checks that it is of a version this binary can go on from. New reference,
 * NULL: e. */
json_t *upgrade_state_read(int fd, struct err *e);
/* Calls change(fd) for every descriptor that has to survive the exec. -1 when one failed.
 */
NODISCARD int upgrade_each_fd(const struct master *m, int (*change)(int fd));

/* ---- adopt.c: the other side ---- */

/* What the master that handed over left; NULL and 0 in *e.text: there was none. */
json_t *adopt_find(struct err *e);
/* The binary's answer to UPGRADE_CHECK_FLAG: its exit code, with a sentence on stderr. */
int adopt_check(const char *fd_text);
/* A descriptor of the state must be of the type (S_IF...) it is said to be; -1: there is
 * none. */
NODISCARD int adopt_fd(int fd, mode_t type, const char *what, struct err *e);
/* Parts of the start, in this order. */
NODISCARD int adopt_conf(struct master *m, const json_t *state, struct err *e);
NODISCARD int adopt_instance(struct master *m, const json_t *state, struct err *e);
NODISCARD int adopt_fleet(struct master *m, const json_t *state, struct err *e);
/* The loop is about to run: the upgrade's job goes on with a reload. */
void adopt_continue(struct master *m);
