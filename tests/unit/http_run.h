/* Plays bytes into a session as a connection would, in given pieces, and writes down what
 * came out as text that two runs can be compared by.
 * SPDX-License-Identifier: MIT */
#pragma once

#include <stdarg.h>
#include <stdio.h>

#include "common/http/session.h"

#define RUN_PIECES_MAX 64

struct run {
	struct head_limits limits;
	uint64_t body_max;
	/* Where the bytes of the open head are shown to the parser; NULL: where they are.
	 */
	const char *(*place)(void *ctx, const char *p, size_t n);
	void *ctx;
	/* --- what came out --- */
	int status;     /* of the error, else 0 */
	unsigned heads; /* complete heads */
	unsigned ends;  /* complete messages */
	bool closed;    /* the last message does not let the connection persist */
	bool clean;     /* an EOF now would be a clean end */
	size_t text_n;
	char text[1 << 16]; /* one line per event, bodies joined */
	size_t body_n;
	char body[1 << 16]; /* all bodies, cut at the size */
	struct head head;   /* of the last message */
};

static const struct head_limits run_limits_default = {
    .line = 8190, .fields = 100, .field_size = 8190, .total = 65536};

static inline void __attribute__((format(printf, 2, 3)))
run_note(struct run *r, const char *fmt, ...)
{
	size_t room = sizeof(r->text) - r->text_n;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(r->text + r->text_n, room, fmt, ap);
	va_end(ap);
	r->text_n += MIN((size_t)MAX(n, 0), room - 1);
}

static inline void
run_note_head(struct run *r, const char *base)
{
	const struct head *h = &r->head;
#define SHOW(s) (int)(s).len, base + (s).off
	run_note(r,
	    "HEAD %.*s|%.*s|path %.*s|query %d %.*s|host %.*s|1.%d|%s%s%s%s%s%s|%llu\n",
	    SHOW(h->method), SHOW(h->target), SHOW(h->path), h->has_query, SHOW(h->query),
	    SHOW(h->host), h->version_minor, h->keep_alive ? "keep " : "",
	    h->close_asked ? "close " : "", h->upgrade ? "upgrade " : "",
	    h->expect_continue ? "expect " : "", h->has_length ? "length " : "",
	    h->chunked ? "chunked" : "", (unsigned long long)h->length);
	for (uint32_t i = 0; i < h->n_fields; i++)
		run_note(r, " %u %u %.*s=%.*s\n", h->fields[i].id, h->fields[i].flags,
		    SHOW(h->fields[i].name), SHOW(h->fields[i].value));
#undef SHOW
}

/* Feeds what is pending; false when the connection is over. */
static inline bool
run_feed(struct run *r, struct session *s, const char *p, size_t n, size_t *used_all)
{
	struct str data;
	size_t used;

	*used_all = 0;
	for (;;) {
		const char *at = p + *used_all;
		size_t left = n - *used_all;

		if (r->place)
			at = r->place(r->ctx, at, left);
		switch (session_feed(s, at, left, &used, &data)) {
		case SESSION_MORE:
			*used_all += used;
			return true;
		case SESSION_HEAD:
			r->heads++;
			run_note_head(r, at);
			break;
		case SESSION_BODY:
			if (data.n > sizeof(r->body) - r->body_n)
				data.n = sizeof(r->body) - r->body_n;
			memcpy(r->body + r->body_n, data.p, data.n);
			r->body_n += data.n;
			break;
		case SESSION_END:
			r->ends++;
			run_note(r, "END %llu\n", (unsigned long long)s->body_seen);
			r->closed = !r->head.keep_alive;
			if (r->closed)
				return false;
			session_init(s, &r->head, &r->limits, r->body_max);
			break;
		case SESSION_ERROR:
			r->status = s->status;
			run_note(r, "ERROR %d\n", s->status);
			return false;
		}
		*used_all += used;
	}
}

/* cuts: lengths of the first pieces; the rest comes as pieces of `every` bytes (0: whole).
 */
static inline void
run_split(struct run *r, struct str in, const size_t *cuts, size_t n_cuts, size_t every)
{
	struct session s;
	size_t start = 0, have = 0, used = 0;
	bool open = true;

	r->status = 0;
	r->heads = r->ends = 0;
	r->closed = false;
	r->text_n = r->body_n = 0;
	r->text[0] = '\0';
	session_init(&s, &r->head, &r->limits, r->body_max);
	while (open && have < in.n) {
		size_t piece = n_cuts ? *cuts : every ? every : in.n;

		if (n_cuts) {
			cuts++;
			n_cuts--;
		}
		have += MIN(piece, in.n - have);
		open = run_feed(r, &s, in.p + start, have - start, &used);
		start += used;
	}
	r->clean = open && session_eof_clean(&s, have - start);
}
