/* A request's body between the I/O thread that receives it and the application thread that
 * reads it: memory first, then an unlinked file or back-pressure. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

/*
 * One writer (the I/O thread) and one reader (an application thread) at a time; neither
 * waits for the other longer than a few instructions. Memory never holds more than
 * memory_max bytes of body. What does not fit goes to a file (spool) or has to wait until
 * the reader made room (no spool).
 */
struct body;

/* dir: where the file is made, NULL: $TMPDIR or /tmp; borrowed for the body's life. NULL
 * without memory. */
NODISCARD struct body *body_create(size_t memory_max, bool spool, const char *dir);
/* When neither side touches it any more. Accepts NULL. */
void body_destroy(struct body *b);

/* ---- The writer ---- */

/* The whole body will be `length` bytes (Content-Length): before the first byte. Memory is
 * then made to measure, and body_room() never offers more than what is missing. */
void body_expect(struct body *b, uint64_t length);
/* Memory to receive into without a copy, then body_commit() what was received. NULL and
 * *n = 0: there is none now, because the buffer is full (no spool: stop reading until
 * body_space() says otherwise) or the body goes to the file (use body_append()). */
char *body_room(struct body *b, size_t *n);
void body_commit(struct body *b, size_t n);
/* Copies p[0..n) behind what came so far. Without spool n must not exceed body_space().
 * -1: no memory, disk full ...; the body is useless then: body_break() it. */
NODISCARD int body_append(struct body *b, const char *p, size_t n, struct err *e);
/* Bytes that can be taken now; SIZE_MAX with spool. 0 is remembered for
 * body_room_wanted(). */
size_t body_space(struct body *b);
/* No more bytes will come: the body is whole. */
void body_end(struct body *b);
/* No more bytes will come: the body is cut. reason: fixed words, not copied; bad_framing:
 * a chunk syntax error, not a client that left. The first call counts. */
void body_break(struct body *b, const char *reason, bool bad_framing);

/* ---- The reader ---- */

/* > 0 bytes copied, 0 the end, BODY_AGAIN nothing there yet, BODY_BROKEN (see req.h). What
 * came before a break is still delivered. */
int64_t body_read(struct body *b, char *dst, size_t n);
/* After body_read(): true once when the writer had met a full buffer and half of it is free
 * again, so it should be woken. */
bool body_room_wanted(struct body *b);

/* ---- Both ---- */

/* Bytes that body_read() would deliver without waiting. */
uint64_t body_ready(struct body *b);
/* body_end() was called: the rest can be read without waiting. */
bool body_complete(struct body *b);
/* Bytes received so far. */
uint64_t body_received(struct body *b);
/* Why BODY_BROKEN; NULL when it is not. */
const char *body_error(struct body *b, bool *bad_framing);
