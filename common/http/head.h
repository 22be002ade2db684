/* The request head: a strict, restartable parser over a buffer the caller owns (RFC 9112).
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

/* Bytes of the head, as an offset from the first byte given to the parser, so that the
 * caller may move or grow its buffer while the head is incomplete. */
struct span {
	uint32_t off, len;
};

static inline struct str
span_str(const char *base, struct span s)
{
	return (struct str){base + s.off, s.len};
}

/* Fields the server itself understands; FIELD_OTHER is everything else. From fields.def. */
enum field_id {
#define FIELD(id, name, flags) FIELD_##id,
#include "common/http/fields.def"
#undef FIELD
	FIELD_COUNT
};

#define FIELD_DROPPED 0x01 /* has `_` in its name, is Proxy, or untrusted: not for the app */

struct field {
	struct span name;  /* as received */
	struct span value; /* without surrounding SP and HTAB */
	uint16_t id;       /* enum field_id */
	uint16_t flags;    /* FIELD_DROPPED */
};

#define HEAD_FIELDS_MAX 256 /* upper end of --limit-request-fields */

/* From the configuration; the defaults are gunicorn's where it has them. */
struct head_limits {
	uint32_t line;       /* request line in bytes, CRLF not counted: over it 414 */
	uint32_t fields;     /* number of fields, at most HEAD_FIELDS_MAX: over it 431 */
	uint32_t field_size; /* one field line in bytes, CRLF not counted: over it 431 */
	uint32_t total;      /* whole head in bytes: over it 431 */
	bool keep_underscores;   /* --header-map dangerous: names with `_` reach the app */
	bool refuse_underscores; /* --header-map refuse: they are a 400 */
};

enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_AUTHORITY, TARGET_ASTERISK };

/* What the head said. Valid after HEAD_DONE, until head_init(). */
struct head {
	struct span method;
	struct span target; /* verbatim */
	struct span path;   /* verbatim, without query; for absolute-form the path in it, and
			       len 0 means "/" */
	struct span query;  /* without `?`; len 0 also when absent */
	struct span host;   /* Host, or the authority of an absolute-form target (9112 3.2.2) */
	bool has_query;
	enum target_form form;
	uint8_t version_minor;  /* as sent: HTTP/1.x */
	bool http11;            /* treat as 1.1 */
	bool keep_alive;        /* the connection may persist after this message */
	bool close_asked;       /* `Connection: close` was sent */
	bool upgrade;           /* Upgrade and Connection: upgrade: ignored, but known */
	bool expect_continue;
	bool has_length;
	bool chunked;
	uint64_t length;        /* of Content-Length; 0 without one */
	uint32_t n_dropped;     /* fields with FIELD_DROPPED */
	uint32_t n_fields;
	struct field fields[HEAD_FIELDS_MAX];

	/* --- the parser's own --- */
	uint8_t state;
	uint8_t empty_lines;
	uint32_t line_start, scanned; /* offsets: start of the open line, bytes looked at */
	uint32_t start;               /* offset of the request line (after empty lines) */
	uint32_t end;                 /* offset behind the empty line that ends the head */
	uint64_t seen;                /* bit per enum field_id, for duplicates */
	int status;                   /* on HEAD_ERROR: the status to answer with */
	const char *reason;           /* on HEAD_ERROR: fixed words for the log */
	bool bad_host;                /* on HEAD_ERROR: for the sake of its host */
};

enum head_result { HEAD_MORE, HEAD_DONE, HEAD_ERROR };

/* Makes ready for a new message. Only the parser's own members and counts are reset:
 * the cost does not grow with HEAD_FIELDS_MAX. */
void head_init(struct head *h);

/*
 * buf[0..len) is all that came since head_init(), at any address. Call again with more
 * after HEAD_MORE: work is linear in the bytes, whatever the splits, and the verdict is the
 * same for every split. HEAD_DONE: h->end bytes belong to the head. HEAD_ERROR: h->status
 * and h->reason; nothing more may be parsed on this connection.
 */
enum head_result head_parse(struct head *h, const struct head_limits *lim, const char *buf,
    size_t len);
