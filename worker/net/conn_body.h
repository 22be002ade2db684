/* A request body on its way from the socket to the application.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/net/conn.h"

/* The head is complete; rest[0..n) came with it. Starts the request when it can run. */
void conn_begin_body(struct conn *c, const char *rest, size_t n);
/* Reads once from the socket into the body. False: nothing came, or no room. */
bool conn_receive_body(struct conn *c);
/* p[0..n) of a body whose request was answered already. */
void conn_discard_body(struct conn *c, const char *p, size_t n);
/* TLS bytes received since the last call are r's. */
void conn_count_tls_in(struct conn *c, struct req *r);
/* Plain HTTP came to a TLS port: a plain 400, then the end. */
void conn_refuse_plain(struct conn *c);

/* conn_in.c: reads and handles end and errors; 0: nothing to use. c may be closed. */
ssize_t conn_read(struct conn *c, char *buf, size_t n);
