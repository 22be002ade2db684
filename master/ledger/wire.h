/* The ledger's end of the stream to the master: JSON, one object per line.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <jansson.h>

#define WIRE_FD 3
#define WIRE_LINE_MAX (1u << 20) /* of a request */

#define WIRE_FDS_MAX 8 /* not yet taken; each comes with its line */

struct wire {
	char *in; /* owned */
	size_t n, cap;
	int fds[WIRE_FDS_MAX]; /* owned; in their order */
	unsigned n_fds;
	bool broken; /* the master does not read, or is gone */
};

typedef void wire_line_fn(void *ctx, json_t *line);

/* Reads what is there and calls fn for every whole line. -1: the master has ended the
 * stream, or sends what is no line. */
NODISCARD int wire_read(struct wire *w, wire_line_fn *fn, void *ctx);
/* The descriptor that came with the line that is being handled: the caller's. -1: none. */
NODISCARD int wire_take_fd(struct wire *w);
/* Whether the other end has no owner any more, that is, did not just say that it is done.
 */
bool wire_is_orphaned(void);
/* line is stolen. */
void wire_send(struct wire *w, json_t *line);
void wire_finish(struct wire *w);
/* From here on, lines of the log go to the master. */
void wire_take_log(struct wire *w);
