/* One client connection: what arrives, which request it belongs to, how it ends.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/addr.h"
#include "common/http/session.h"
#include "worker/net/delivery.h"
#include "worker/net/net.h"
#include "worker/net/pace.h"
#include "worker/net/top.h"
#include "worker/net/transport.h"

enum conn_state {
	CONN_HANDSHAKE,
	CONN_IDLE,    /* no byte of a request yet */
	CONN_HEAD,    /* some bytes of a head */
	CONN_REQUEST, /* c->req is under way (its body may still arrive) */
	CONN_DISCARD, /* answered; the rest of its body is read and thrown away */
	CONN_LINGER,  /* our side is shut; until the client is done and has all of it */
	CONN_CLOSED,  /* in net->doomed */
};

struct conn {
	struct conn *prev, *next;  /* net->conns; next also in net->doomed */
	struct net *net;           /* borrowed */
	struct listener *listener; /* borrowed */
	struct req *req;           /* under way; NULL in IDLE, DISCARD, LINGER */
	char *in; /* owned: bytes of the next message; NULL when there are none */
	uint32_t in_n, in_cap;
	uint8_t state;                        /* enum conn_state */
	bool reading;                         /* the read event is in the loop */
	bool writing;                         /* the write event is in the loop */
	bool eof;                             /* the peer ended its side */
	bool input_done;                      /* the current message is complete */
	bool paused;                          /* not reading: body memory is full */
	uint64_t paused_ns;                   /* since when */
	uint64_t accepted_ns;                 /* with TLS: when the handshake began */
	bool unsent_limited;                  /* TCP_NOTSENT_LOWAT is set */
	bool parsing;                         /* inside conn_parse() */
	bool own;                             /* the server is the client */
	uint8_t why;                          /* it ends: enum net_close + 1; or 0 */
	uint8_t aside;                        /* enum net_state; idle: it is not */
	uint32_t paid_row;                    /* of the last request that ended */
	uint32_t account_row;                 /* of the last request; 0: none */
	uint32_t served;                      /* requests begun */
	uint32_t budget;                      /* bytes still to be discarded */
	uint32_t tls_in;                      /* TLS bytes received, not yet a request's */
	uint64_t wire_in_seen, wire_out_seen; /* of the transport, already counted */
	struct transport t;
	struct timer timer;
	struct delivery delivery;
	struct pace pace;
	struct top_memo top;
	struct session session;
	struct addr peer;
	struct event ev_read, ev_write;
};

/* Takes over fd (closed on failure). own: a question of the server to itself,
 * without TLS everywhere. */
void conn_accept(struct listener *l, int fd, const struct addr *peer, bool own);
/* (Re)starts the wait for the first byte of a connection's first request. */
void conn_time_first(struct conn *c);
/* Between requests and not wanted any more: closed, unless the next one is there. */
void conn_end_idle(struct conn *c);
/* Ends it now; c is freed at the end of the turn. The request under way gets `outcome`. */
void conn_close(struct conn *c, int outcome);
/* Shuts our side, reads until the client is done, then closes. */
void conn_linger(struct conn *c);
/* Closes; if somebody wants to know what the client gets of the answers that are still
 * under way, when that is known. */
void conn_part(struct conn *c);
/* Sends what c->req has; when its answer is complete goes on to the next request, or ends.
 */
void conn_flush(struct conn *c);
/* Reading may go on (body memory has room again, or a reader waits). */
void conn_resume(struct conn *c);
/* Body bytes came, or are waited for again. */
void conn_time_body(struct conn *c);
void conn_timeout(struct conn *c, enum timer_kind kind);
/* The server itself answers the request under way and closes (http.md 44). */
void conn_refuse(struct conn *c, int status, const char *reason, int outcome);
void conns_free_doomed(struct net *net);
/* Sets which events are watched. */
void conn_watch_read(struct conn *c, bool on);
void conn_watch_write(struct conn *c, bool on);
