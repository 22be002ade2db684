/* What arrives on a connection: handshake, heads, bodies, and what nobody wants.
 * SPDX-License-Identifier: MIT */
#pragma once

struct conn;
struct req;

void conn_handshake(struct conn *c);
/* The socket is readable (or has decrypted bytes left). */
void conn_receive(struct conn *c);
/* Parses what is in c->in until a request is under way or more bytes are needed. */
void conn_parse(struct conn *c);
/* Idle again: the next request, or wait for it. */
void conn_next_message(struct conn *c);
/* The body cannot be completed: answered with `status` where that is still possible. */
void conn_body_broken(struct conn *c, int status, const char *reason, int bad_framing);
/* A request that ends before its head was complete keeps the bytes its spans refer to. */
void conn_lend_buffer(struct conn *c, struct req *r);
