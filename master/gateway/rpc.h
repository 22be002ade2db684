/* A session with the master: JSON-RPC calls out, answers and notifications in, one object
 * per line (shoal-control(7)). Its rights are those of whom the master made it for.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <jansson.h>

struct event_base;
struct rpc;

#define RPC_PENDING_MAX 256

/* Exactly one of result and error is given; both are borrowed. error NULL as well: the
 * session is over. */
typedef void rpc_answer_fn(void *ctx, json_t *result, json_t *error);
/* params: borrowed. NULL: the session is over, and gone after this call. */
typedef void rpc_notify_fn(void *ctx, const char *method, json_t *params);

/* Takes fd over, also on failure. notify may be NULL. */
struct rpc *rpc_open(
    struct event_base *base, int fd, rpc_notify_fn *notify, void *ctx, struct err *e);
/* Pending calls are forgotten, not answered. NULL is fine. */
void rpc_close(struct rpc *r);
/* Steals params (NULL: none). The number of the call, or 0: too much is pending, or the
 * session is over; `answer` is not called then. */
json_int_t rpc_call(
    struct rpc *r, const char *method, json_t *params, rpc_answer_fn *answer, void *ctx);
/* The answer to this call is not wanted any more. */
void rpc_forget(struct rpc *r, json_int_t id);
