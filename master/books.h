/* The master's side of the ledger: where the accounts' tables are, and the process that
 * puts them on disk. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"
#include "common/quota.h"

#include <jansson.h>
#include <sys/types.h>

struct books;
struct books_sums;
struct master;

/* NULL in *b and 0: no ledger is configured. -1: it cannot be had, or is another's. */
NODISCARD int books_open(struct books **b, struct master *m, struct err *e);
void books_close(struct books *b);
/* Where the tables of accounts are: a directory in tmpfs of this instance alone. Borrowed;
 * NULL without books. */
const char *books_dir(const struct books *b);
/* The table of quotas for the workers, who cannot write to it; -1: there is none. Borrowed.
 */
int books_quota_fd(const struct books *b);
/* The same table, to look at. */
const struct quota *books_quotas(const struct books *b);
/* What ledgers counted of their own work; NULL without books. */
const struct books_sums *books_sums(const struct books *b);
/* After the last worker: one more flush, then its end; the master's loop is left then.
 * false: there is nothing to wait for. */
bool books_end(struct books *b);
/* Before another binary takes the master's place: asks it to flush and go; whether it has
 * gone. */
bool books_rest(struct books *b);
/* The other binary did not. */
void books_resume(struct books *b);
bool books_on_child(struct books *b, pid_t pid, int status);
/* Of its process; 0: there is none. */
pid_t books_pid(const struct books *b);

/* As sidecar_request() and sidecar_forget(). */
typedef void books_answer_fn(void *ctx, json_t *result, json_t *error);
NODISCARD int books_request(struct books *b, const char *method, json_t *params,
    books_answer_fn *answer, void *ctx, struct err *e);
void books_forget(struct books *b, const void *ctx);
/* How long the ledger has owed an answer and said nothing. */
int64_t books_silent_ms(const struct books *b);
