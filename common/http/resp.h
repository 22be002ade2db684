/* The response head: checks what the application said and writes the bytes (RFC 9110, 9112).
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

enum resp_framing {
	RESP_NO_BODY,  /* HEAD, 1xx, 204, 304: no body byte whatever the app yields */
	RESP_LENGTH,   /* Content-Length: the app's, or set from a sized result */
	RESP_CHUNKED,  /* 1.1, length unknown */
	RESP_CLOSE,    /* 1.0, length unknown: the end of the connection ends it */
};

enum resp_error {
	RESP_OK,
	RESP_BAD_STATUS,   /* not NNN[ reason], or bytes that do not belong (http.md 41) */
	RESP_BAD_NAME,     /* a field name that is no token */
	RESP_BAD_VALUE,    /* CR, LF, NUL or another control character in a value */
	RESP_HOP_BY_HOP,   /* the server's own business (PEP 3333) */
	RESP_BAD_LENGTH,   /* Content-Length twice, or no number */
	RESP_TOO_LARGE,    /* over RESP_HEAD_MAX */
};

#define RESP_HEAD_MAX (256 * 1024)

/* A growing buffer of bytes; starts in memory the caller lends, moves to the heap if it
 * must. */
struct resp_buf {
	char *p;       /* borrowed until it is on the heap */
	size_t n, cap;
	bool on_heap;  /* p is owned, free() it */
};

struct resp {
	struct resp_buf *out;
	int code;               /* 100-599 */
	bool head_request;      /* in: answer to HEAD */
	bool http11;            /* in */
	bool keep_alive;        /* in: what the request and the server allow; out: the verdict */
	bool close_asked;       /* the app sent Connection: close (obeyed) */
	bool capitalize;        /* in: --capitalize-headers */
	bool has_length, has_date, has_server;
	uint64_t length;        /* the app's, or from resp_finish */
	size_t fields_at;       /* offset of the first field in out: set by resp_begin */
	enum resp_framing framing; /* after resp_finish */
};

/* `HTTP/1.1 ` + status + CRLF. status is the app's "200 OK". */
NODISCARD enum resp_error resp_begin(struct resp *r, struct str status);
/* One field of the application's. Connection: close is noted and not copied; Date, Server,
 * Content-Length are noted. */
NODISCARD enum resp_error resp_field(struct resp *r, struct str name, struct str value);
/*
 * Decides the framing, adds Date (date: 29 bytes), Server (server.n == 0: none), Connection,
 * Transfer-Encoding or Content-Length, and the empty line. sized: the body is complete and
 * `size` bytes, which becomes Content-Length unless the app gave one.
 */
NODISCARD enum resp_error resp_finish(struct resp *r, struct str date, struct str server,
    bool sized, uint64_t size);

const char *resp_error_text(enum resp_error e);

/* The reason phrase of a status, "Unknown" if it has none. From status.def. */
const char *status_reason(int code);

/* The server's own complete answer (http.md 44): fixed text, Content-Length, Connection:
 * close. Returns its length; 0 when cap is too small. */
size_t resp_canned(char *buf, size_t cap, int code, struct str date, struct str server,
    bool head_request, size_t *head_len);

/* "1f40\r\n": writes at most 18 bytes at p, returns how many. */
size_t chunk_header(char *p, uint64_t n);

/* IMF-fixdate of a Unix time (RFC 9110 5.6.7): exactly 29 bytes at p. */
void http_date(char *p, int64_t unix_s);
