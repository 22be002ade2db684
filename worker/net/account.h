/* Who is billed for a request, and the commits of what was counted, in the worker's table
 * of accounts (common/acct.h). All of it on the I/O thread. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

struct conn;
struct err;
struct net;
struct req;

/* The worker's own table is its writer's from here on; a process without one counts nothing
 * per account. */
NODISCARD int account_init(struct net *net, struct err *e);
/* Every tick: the clock of the rows. */
void account_tick(struct net *net);

/* Just before bytes of it go out: once the answer's head is there, who is billed for all of
 * this request is fixed. */
void account_fix(struct req *r);
/* Before a send() of at most n bytes of it. */
void account_intend(struct req *r, uint64_t n);
/* After it, at the latest before the next: commits what r->counts grew. */
void account_sent(struct req *r);
/* At its outcome, and again when the application is finished with it: commits the rest. */
void account_end(struct req *r);
/* Body bytes that came after the answer, of the request that ended last on c. */
void account_drained(struct conn *c, uint64_t body, uint64_t framing);
/* The request is about to be freed. */
void account_forget(struct req *r);

/* The row of a request whose key is fixed, for bytes whose fate is known later: held, so
 * that it stays this account's, until account_undelivered() lets it go. */
uint32_t account_hold(struct req *r);
/* Final at the peer: of the bytes counted on this held row so many were never acknowledged
 * (0: all were). Lets the row go. */
void account_undelivered(struct net *net, uint32_t row, uint64_t bytes);
