/* Who is billed for a request, and the commits of what was counted, in the worker's table
 * of accounts (common/acct.h). All of it on the I/O thread. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

struct net;
struct req;

/* Opens the table the master gave (fd, not kept); without one (-1) nothing is counted. */
struct err;
NODISCARD int account_init(struct net *net, int fd, struct err *e);
void account_finish(struct net *net);
/* Every tick: the clock of the rows. */
void account_tick(struct net *net);

/* Just before its first byte goes out: who is billed for all of this request is fixed.
 * Again: no effect. */
void account_fix(struct req *r);
/* Before a send() of at most n bytes of it. */
void account_intend(struct req *r, uint64_t n);
/* After it: commits what r->counts grew. */
void account_sent(struct req *r);
/* At its outcome: the rest of its counts. What came later (the remains of a body that is
 * thrown away) is committed by calling it again. */
void account_end(struct req *r);

/* The row of a request whose key is fixed, for bytes whose fate is known later: held, so
 * that it stays this account's, until account_undelivered() lets it go. */
uint32_t account_hold(struct req *r);
/* Final at the peer: of the bytes counted on this held row so many were never acknowledged
 * (0: all were). Lets the row go. */
void account_undelivered(struct net *net, uint32_t row, uint64_t bytes);
