/* One connection's inbound side as a pure state machine: bytes in, message events out.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/http/chunk.h"
#include "common/http/head.h"

enum session_event {
	SESSION_MORE,  /* everything usable was used; come back with more bytes */
	SESSION_HEAD,  /* a head is complete; s->head is valid; used = its length */
	SESSION_BODY,  /* *data is decoded body, a part of the given buffer */
	SESSION_END,   /* the message is complete; session_next() before any further byte */
	SESSION_ERROR, /* s->status, s->reason; nothing more is ever parsed (http.md 29) */
};

enum session_state { SESSION_IN_HEAD, SESSION_IN_LENGTH, SESSION_IN_CHUNKS, SESSION_DONE, SESSION_FAILED };

struct session {
	struct head *head;  /* borrowed, given to session_init */
	const struct head_limits *limits; /* borrowed */
	uint64_t body_max;  /* decoded body bytes allowed, 0 = unlimited: over it 413 */
	uint64_t body_seen; /* decoded body bytes so far */
	uint64_t body_left; /* of a Content-Length body */
	uint64_t framing;   /* bytes of chunk sizes, extensions, trailers so far */
	struct chunk chunk;
	enum session_state state;
	int status;
	const char *reason;
};

/* For a new connection, and for the next message with the (new) head structure to fill. */
void session_init(struct session *s, struct head *head, const struct head_limits *limits,
    uint64_t body_max);

/*
 * Takes one step. While s->state is SESSION_IN_HEAD, buf must start at the first byte of
 * the message and keep growing (nothing is used until the head is complete); after that
 * buf is whatever came next. *used bytes of buf are done with when it returns. Loop until
 * SESSION_MORE, SESSION_END or SESSION_ERROR. After SESSION_HEAD of a message without body
 * the next call returns SESSION_END with *used = 0.
 */
enum session_event session_feed(struct session *s, const char *buf, size_t len, size_t *used,
    struct str *data);

/* The peer ended its side: true when that is a clean end (before any byte of a message),
 * false when a message was cut (408-less close, read error for the application). */
bool session_eof_clean(const struct session *s, size_t pending);
