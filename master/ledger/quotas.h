/* Quotas: what accounts may have in a window of time, how much of it they have had, and the
 * table in shared memory that tells the workers. SPDX-License-Identifier: MIT */
#pragma once

#include "common/quota.h"
#include "master/ledger/store.h"
#include "master/ledger/when.h"

#define QUOTAS_MAX 3000
#define QUOTAS_WARN_PERCENT 80

struct ledger;

enum quota_action { QUOTA_DO_LOG, QUOTA_DO_THROTTLE, QUOTA_DO_DENY, QUOTA_ACTIONS };

struct quota_rule {
	char account[ACCT_KEY_MAX + 1];
	enum when_unit window;
	enum quota_action action;
	int64_t limit, rate;  /* bytes; bytes a second */
	int64_t begins, ends; /* of the present window */
	int64_t used;         /* in it: committed and pending */
	unsigned reached;     /* 0, 1 most of it, 2 all of it: highest of this window */
	unsigned kept;        /* that much of it is in the store */
	unsigned told;        /* that much was said */
};

struct quotas {
	struct quota table;
	struct quota_rule *v; /* owned */
	size_t n;
	bool changed; /* since the table was published */
};

/* table_fd: the table (stays the caller's); -1: it is made in dir_fd, empty or as it was
 * left. */
struct quotas *quotas_create(int dir_fd, int table_fd, struct err *e);
void quotas_destroy(struct quotas *qs);
/* Reads them from the store, with what was used in their windows. */
NODISCARD int quotas_load(struct quotas *qs, struct store *s, int64_t now, struct err *e);
/* Writes them into a store that has none. */
NODISCARD int quotas_save(struct quotas *qs, struct store *s, struct err *e);
/* Something was counted. */
void quotas_count(struct quotas *qs, const char *account, int64_t bucket, int64_t bytes);
/* Begins windows anew that have ended: before what belongs to the next one is counted. */
void quotas_roll(struct quotas *qs, struct store *s, int64_t now);
/* What was reached, and the table. false: the store has to be told. */
NODISCARD bool quotas_tick(struct quotas *qs);
/* What was reached, into the store's open transaction; behind its commit. */
NODISCARD int quotas_put(struct quotas *qs, struct store *s, struct err *e);
void quotas_settle(struct quotas *qs);
/* Events: behind the commit, so that they come once, or when there is none. */
void quotas_tell(struct quotas *qs, struct ledger *l);
size_t quotas_number(const struct quotas *qs);

const char *quotas_window_name(enum when_unit window);
const char *quotas_action_name(enum quota_action action);
/* -1: no such word. */
int quotas_window_parse(const char *name);
int quotas_action_parse(const char *name);
/* NULL: there is none. */
struct quota_rule *quotas_find(
    struct quotas *qs, const char *account, enum when_unit window);
/* In the store and here. -1 and e, or -1 and an empty e: too many. */
NODISCARD int quotas_set(struct quotas *qs, struct store *s, const struct quota_rule *rule,
    int64_t now, struct err *e);
NODISCARD int quotas_unset(
    struct quotas *qs, struct store *s, struct quota_rule *rule, struct err *e);
