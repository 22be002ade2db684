/* One HTTP client of the gateway: requests in by the project's parser, answers out.
 * One request at a time; what a client sends ahead waits in its socket.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/ctl_table.h"
#include "common/http/session.h"
#include "master/gateway/rpc.h"

struct bufferevent;
struct evbuffer;
struct gateway;
struct stream;

#define HTTP_BODY_MAX 65536
#define HTTP_CLIENTS_MAX 256

struct http {
	struct http *prev, *next; /* gateway->clients */
	struct gateway *gateway;  /* borrowed */
	struct bufferevent *bev;  /* owned */
	struct rpc *own;          /* owned; the session of a client of the control socket */
	bool tcp;                 /* came by the TCP listener: its rules apply */
	enum ctl_role role;

	/* The request under way */
	struct session session;
	struct head head;
	char *bytes; /* owned: its head, what the spans refer to */
	char *body;  /* owned */
	size_t body_n;
	bool busy;         /* it is being answered */
	bool eof;          /* the client sends no more */
	bool ending;       /* closed when the answer has left */
	struct rpc *asked; /* borrowed: where a call is pending */
	json_int_t call;
	const struct route *route;
	void *work; /* owned; of the page that answers, dropped with the request */
	void (*drop_work)(void *work);
	struct stream *stream; /* it is a viewer of events */
};

/* Takes fd and session (NULL: none) over, also on failure. first: bytes already read. */
void http_accept(struct gateway *g, int fd, struct rpc *session, enum ctl_role role,
    bool tcp, struct str first);
void http_close(struct http *h);

struct str http_method(const struct http *h);
struct str http_path(const struct http *h);
/* The value of a request field; {NULL, 0}: there is none. */
struct str http_field(const struct http *h, const char *name);

/* The whole answer; the next request may come after it. extra: further fields, each with
 * its CRLF, or NULL. */
void http_answer(struct http *h, int status, const char *type, const char *extra,
    const void *body, size_t n);
/* {"error":{...}} with the status of the kind. */
void http_fail(struct http *h, enum ctl_kind kind, const char *message);
/* A JSON document as the answer; borrowed. */
void http_answer_json(struct http *h, int status, const char *extra, const json_t *body);
/* An endless answer begins: its output buffer, to be written to from now on; NULL when it
 * was a HEAD and is over. */
struct evbuffer *http_begin_stream(struct http *h, const char *type);
