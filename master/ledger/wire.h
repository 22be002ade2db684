/* The ledger's end of the stream to the master: JSON, one object per line.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <jansson.h>

#define WIRE_FD 3
#define WIRE_LINE_MAX (1u << 20) /* of a request */

struct wire {
	char *in; /* owned */
	size_t n, cap;
	bool broken; /* the master does not read, or is gone */
};

typedef void wire_line_fn(void *ctx, json_t *line);

/* Reads what is there and calls fn for every whole line. -1: the master has ended the
 * stream, or sends what is no line. */
NODISCARD int wire_read(struct wire *w, wire_line_fn *fn, void *ctx);
/* line is stolen. */
void wire_send(struct wire *w, json_t *line);
void wire_finish(struct wire *w);
/* From here on, lines of the log go to the master. */
void wire_take_log(struct wire *w);
