/* The ledger process: what it holds together. SPDX-License-Identifier: MIT */
#pragma once

#include "common/ledger_counts.h"
#include "master/ledger/segments.h"
#include "master/ledger/wire.h"

#include <jansson.h>

#define LEDGER_EXIT_CONFIG 2

struct quotas;

struct ledger {
	struct wire wire;
	struct store store;
	struct segments segments;
	struct quotas *quotas; /* owned */
	int64_t flush_ms;
	int tick_fd, clock_fd; /* owned timers */
	int64_t lot_bucket;    /* of the present lot */
	bool has_lot;
	int64_t clock_offset_ns; /* wall clock less CLOCK_BOOTTIME */
	/* Of this process's life. */
	uint64_t flushes, failed_flushes, flagged;
	struct ledger_counts counts;
	double last_took_ms, max_took_ms;
	double complete_until; /* Unix time: all that was counted before is in the store */
	bool failing;
	double failing_since;
	uint64_t failed_in_a_row;
	char why[1024]; /* it fails */
	int64_t overflow_said_ms, slow_said_ms, pruned_said_ms, pruned_said;
	uint64_t overflow_seen;
	int64_t age_due_ms;
	bool ending;
};

/* The first line of the master. */
NODISCARD int ledger_open(struct ledger *l, const json_t *config, struct err *e);
void ledger_close(struct ledger *l);
/* Looks at all segments and commits what they counted. new_lot: what comes behind it has
 * other ids, so that all of it can be exported. -1: it waits in memory (l->why). */
NODISCARD int ledger_flush(struct ledger *l, bool new_lot);
/* The wall clock was set. */
void ledger_on_clock(struct ledger *l);
/* One request; the answer is sent. */
void ledger_answer(struct ledger *l, const json_t *line);
/* What the master says without asking: a table in memory alone, with its descriptor. */
void ledger_take_table(struct ledger *l, const json_t *line);
/* At the end of the stream. When the master was killed, tables that are in memory alone are
 * in nobody else's hands: stays until their workers have ended and all is in the store. */
void ledger_outlive_master(struct ledger *l);
/* data is stolen. */
void ledger_event(struct ledger *l, const char *type, json_t *data);
/* Tells the master what was counted, and how things are. */
void ledger_tell_counts(struct ledger *l);
json_int_t ledger_disk_free(const struct ledger *l);
json_int_t ledger_database_size(struct ledger *l);
double ledger_now(void);
int64_t ledger_boot_ms(void);

/* What a request cannot have. */
struct fault {
	const char *kind;     /* of common/ctl_table.h, static */
	const char *param;    /* static; NULL: none */
	const char *expected; /* static; NULL: none */
	char message[600];
};

/* All: a new reference, or NULL and *f. */
json_t *ledger_query(struct ledger *l, const json_t *params, struct fault *f);
json_t *ledger_export(struct ledger *l, const json_t *params, struct fault *f);
json_t *ledger_adjust(struct ledger *l, const json_t *params, struct fault *f);
json_t *ledger_status(struct ledger *l, const json_t *params, struct fault *f);
json_t *ledger_quota_set(struct ledger *l, const json_t *params, struct fault *f);
json_t *ledger_quota_unset(struct ledger *l, const json_t *params, struct fault *f);
json_t *ledger_quota_list(struct ledger *l, const json_t *params, struct fault *f);
json_t *ledger_quota_get(struct ledger *l, const json_t *params, struct fault *f);
/* Returns NULL. */
json_t *ledger_refuse(struct fault *f, const char *kind, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
json_t *ledger_refuse_param(
    struct fault *f, const char *param, const char *expected, const char *method);
/* Of a request's parameters. */
const char *ledger_param_text(const json_t *params, const char *name, const char *none);
int64_t ledger_param_int(const json_t *params, const char *name, int64_t none);
