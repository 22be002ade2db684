/* What each account with a quota may still have, in shared memory: the ledger writes,
 * workers only read. SPDX-License-Identifier: MIT */
#pragma once

#include "common/acct.h"

#define QUOTA_FILE "quota"
#define QUOTA_ROWS 4096 /* of one table; accounts beyond it are not limited */

enum quota_state {
	QUOTA_OK,
	QUOTA_WARN,     /* most of it is used */
	QUOTA_THROTTLE, /* used up: at most `rate` bytes a second */
	QUOTA_DENY,     /* used up: no more requests until `until` */
	QUOTA_STATES
};

struct quota_row {
	uint64_t hash;
	uint32_t key_len, state; /* enum quota_state */
	uint64_t limit, used, rate;
	uint64_t until; /* Unix seconds: the end of the window */
	char key[ACCT_KEY_MAX];
};

/* Two tables: one is read while the other is written. */
struct quota_head {
	char magic[8];
	uint32_t layout, rows, row_size, spare;
	uint64_t hash_key[2];
	_Atomic uint64_t version; /* of the table in use; its parity says which */
	uint32_t used[2];         /* rows of each */
};

struct quota {
	struct quota_head *head;
	struct quota_row *table[2]; /* QUOTA_ROWS each, open addressing by hash */
	size_t size;
	bool writable;
};

/* What a worker gets. */
struct quota_view {
	enum quota_state state;
	uint64_t limit, used, rate, until;
};

/* The file in dir_fd, made when it is not there. The descriptor is the caller's, CLOEXEC;
 * for workers it is one that cannot write. */
NODISCARD int quota_file(int dir_fd, bool writable, struct err *e);
/* The same without a file: the descriptor for the ledger, and in *reader that for workers.
 */
NODISCARD int quota_memory(int *reader, struct err *e);
NODISCARD int quota_open(struct quota *q, int fd, bool writable, struct err *e);
/* One that is all zeros is closed already. */
void quota_close(struct quota *q);
/* QUOTA_OK for an account without a quota. Costs one load when there are none at all. */
void quota_find(const struct quota *q, const char *key, size_t n, struct quota_view *view);

/* Every account with a quota. false: the table was exchanged meanwhile; what was said is
 * not of one moment. */
typedef void quota_each_fn(
    void *ctx, const char *key, size_t n, const struct quota_view *view);
bool quota_each(const struct quota *q, quota_each_fn *fn, void *ctx);

/* The ledger: a new table, row by row, then all at once. */
void quota_begin(struct quota *q);
/* false: the table is full. */
bool quota_add(struct quota *q, const char *key, size_t n, const struct quota_view *view);
void quota_publish(struct quota *q);
