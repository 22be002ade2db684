/* What every process of the instance uses: read a little at a time, kept, told. Memory by
 * smaps_rollup and descriptors are read of one process a tick at most, the one whose
 * figures are oldest, and so seldom that they take 2 % of the master's time at most.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/usage.h"

#include <jansson.h>

struct master;

/* Processes that are no workers. Molds are told as one. */
enum meter_role { METER_MASTER, METER_MOLD, METER_GATEWAY, METER_LEDGER, METER_ROLES };

/* Zeroed is a fine start. */
struct meter {
	struct {
		pid_t pid; /* 0: there is none, or it is told by others (molds) */
		struct usage now;
		uint64_t user_ticks, system_ticks; /* of those that ended */
	} roles[METER_ROLES];
	int64_t not_before_us; /* the next closer look */
	unsigned round;        /* usage.round of the processes that were looked at in it */
};

/* Five times a second. */
void meter_tick(struct meter *t, const struct master *m, int64_t now_ms);
/* A child ended and was not waited for yet: its processor time can still be read. */
void meter_on_dying(struct meter *t, const struct master *m, pid_t pid);
/* The cheap figures of all processes, as of now; of more than some hundred workers, those
 * that were not looked at for longest. */
void meter_look(struct meter *t, const struct master *m);
/* [{"role","worker","rss_bytes",...}], one row for each role and each place that has a
 * worker; of the processes at a place the sum. Unknown: null. */
json_t *meter_processes(const struct meter *t, const struct master *m);
/* [{"role","worker","mode","seconds"}] of what is no worker; and more rows of it. */
json_t *meter_cpu(const struct meter *t, const struct master *m);
void meter_put_cpu(json_t *list, const char *role, json_t *worker, uint64_t user_ticks,
    uint64_t system_ticks);
/* Over an upgrade; the master itself and molds go on, the others begin anew. */
json_t *meter_save(const struct meter *t);
void meter_restore(struct meter *t, const json_t *from);
