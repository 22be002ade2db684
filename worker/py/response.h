/* The answer: head, framing, the application's iterable. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

struct face;

/* Makes ready for (another) start_response. */
void response_reset_head(struct call *c);

/* The head leaves; sized: the body is complete and `size` bytes. -1: exception. */
NODISCARD int response_send_head(struct call *c, bool sized, uint64_t size);

/* One bytes object of the body. -1: exception. */
NODISCARD int response_send(struct call *c, PyObject *item);

/* `size` bytes of fd from off on, the whole body; fd is taken over. -1: exception. */
NODISCARD int response_send_file(struct call *c, int fd, int64_t off, uint64_t size);

/* The write() callable; waits while the output is full. -1: exception. */
NODISCARD int response_write(struct call *c, struct face *face, PyObject *data);

/* An interim response (RFC 9110 15.2) with some (name, value) pairs; nothing for HTTP/1.0
 * or after the head. headers may be NULL. -1: exception. */
NODISCARD int response_interim(struct call *c, int code, PyObject *headers);

enum response_step { RESPONSE_DONE, RESPONSE_PARKED, RESPONSE_GONE, RESPONSE_FAILED };

/* Sends what c->result yields. PARKED: the output is full, c->req asked for a pull() and
 * belongs to the I/O thread until then. GONE: the client is. FAILED: exception. */
enum response_step response_run(struct call *c);

/* After the last item: the head if it is not out yet, held-back bytes, the last chunk.
 * FAILED: exception. Sets finish_flags. */
NODISCARD int response_finish(struct call *c);

/* The server's own answer to an application that failed: 500 if the head is not out
 * (traceback: a str for --debug, or NULL), otherwise the answer is cut. No exception. */
void response_fail(struct call *c, PyObject *traceback);

/* Releases what the call holds of its answer. */
void response_clear(struct call *c);
