/* How workers died that nobody had asked to go: cause, requests in them, last stack; the
 * last fifty. SPDX-License-Identifier: MIT */
#pragma once

#include "common/seg.h"

#include <jansson.h>
#include <sys/types.h>

#define CRASHES_KEPT 50

struct crashes {
	json_t *ring[CRASHES_KEPT]; /* owned */
	uint64_t total;
	int64_t oom_kills; /* of the cgroup, when last looked; -1: cannot be told */
};

/* What is known at the reaping. */
struct crash {
	unsigned slot, epoch, generation;
	pid_t pid;
	int64_t lived_ms;
	const char *cause;  /* as report_cause() */
	const char *reason; /* as last_exit.reason: "crashed" */
	const struct seg *seg;
	int trace_fd; /* -1: none */
};

/* Looks at the cgroup, so that later kills can be told from earlier ones. */
void crashes_init(struct crashes *cs);
void crashes_finish(struct crashes *cs);
/* Before the segment is closed. The record is borrowed until the ring has gone round; NULL
 * without memory: {"t","slot","pid","epoch","generation","cause","reason","lived_s",
 * "oom":true|false|null,"requests":[...],"requests_total","threads":[...]}. Threads are
 * those of a fatal signal, the one it hit first; their stack also goes to the log. */
const json_t *crashes_add(struct crashes *cs, const struct crash *c);
/* The record without its stacks, for the event; with the innermost twenty frames of the
 * thread that a fatal signal hit as "stack". New reference. */
json_t *crashes_event_data(const json_t *record);
/* All of them, for a master that takes over; and back. What is no record is left out. New
 * reference. */
json_t *crashes_save(const struct crashes *cs);
void crashes_restore(struct crashes *cs, const json_t *from);
/* The newest first, of one slot, at most `max`. New reference. */
json_t *crashes_of_slot(const struct crashes *cs, unsigned slot, size_t max);
