/* The I/O thread's half of a request: made, handed over, sent, ended exactly once.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/net/conn.h"
#include "worker/net/req.h"

/* A request of this connection whose first byte has come; NULL without memory. */
struct req *req_create(struct conn *c);
bool req_is_head(const struct req *r);
/* req_dup_socket() fails from here on: the descriptor may soon be another client's. */
void req_hide_socket(struct req *r);
/* Hands it to the application side. */
void req_start(struct req *r);
/* The server answers itself: head and body of `status` become the output, whatever the
 * application does from here on; `outcome` is what req_end() will say. */
void req_answer(struct req *r, int status, enum req_outcome outcome);
/* The application should stop working on it: wakes it wherever it waits. */
void req_abort(struct req *r, const char *why);
/* The application may go on with output, if it is parked for want of room. */
void req_pull(struct req *r);
/* A reader that waits is woken when there is something to know. */
void req_body_news(struct req *r);
/* THE end: the outcome is known. Called on every path, has an effect once. */
void req_end(struct req *r, enum req_outcome outcome);
/* Where it is now: enum net_phase. */
unsigned req_phase(const struct req *r);
/* What the kernel took of its answer so far, all kinds together. */
uint64_t req_wire_out(const struct req *r);
/* Handles everything application threads have signalled. True when there was something. */
bool req_drain_signals(struct net *net);
/* req_timeout.c: something happened that the application's time depends on. */
void req_time_app(struct req *r);
/* Its timer of this kind has expired. */
void req_timeout(struct req *r, enum timer_kind kind);
void req_pool_free(struct net *net);
/* Tells the application half which I/O thread the process has; before any request. */
void req_attach(struct net *net);

enum out_result {
	OUT_DONE,
	OUT_BLOCKED, /* the client takes no more now */
	OUT_YIELD,   /* it would, but has had its share of this turn */
	OUT_PACED,   /* its account has to wait */
	OUT_DEAD,
};

/* out.c: sends what it can of r's output on c; OUT_DONE: nothing is left to send, and the
 * last send is not committed yet (account_sent() or account_end() follows). */
enum out_result out_send(struct conn *c, struct req *r);
/* The connection ends: what the kernel took of a record that will not be whole is counted.
 */
void out_count_rest(struct conn *c, struct req *r);
/* Drops all output of the application, handing borrowed buffers back. */
void out_drop(struct req *r);
/* Drops what application threads have handed over when it can no longer be sent. */
void out_collect(struct req *r);
/* Queues an answer or interim answer of the server's own, copied. */
void out_push_own(struct req *r, const char *bytes, size_t head_len, size_t n);
