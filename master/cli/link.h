/* The connection to a control socket: JSON-RPC requests out, replies and notifications in,
 * one object per line. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <jansson.h>

#define LINK_LINE_MAX (8u << 20) /* the server's replies are at most 4 MiB */
#define LINK_QUEUE_MAX 65536
#define LINK_API 1

enum link_status {
	LINK_OK,
	LINK_REFUSED, /* an error reply */
	LINK_TIMEOUT,
	LINK_LOST,     /* closed, or never open */
	LINK_NOBODY,   /* nothing listens there */
	LINK_NO_ENTRY, /* the file mode lets us not in */
	LINK_TOO_OLD,  /* it speaks another version of the protocol */
	LINK_GARBAGE,  /* what came is no such protocol */
};

/* One line from the server. */
struct link_msg {
	char *line; /* owned; as it came, without the newline */
	size_t n;
	json_t *root; /* owned */
};

struct link {
	int fd;         /* -1: not connected */
	char path[108]; /* of the socket */
	char *in;       /* owned; what has come and is not a whole line yet */
	size_t in_n, in_max;
	json_int_t last_id;
	struct link_msg *queue; /* owned; notifications that came before a reply */
	size_t queue_n, queue_max;
	json_t *hello; /* owned; what the server said of itself; NULL: not yet */
};

void link_init(struct link *l, const char *path);
void link_finish(struct link *l);
/* Connects and exchanges server.hello; gives up at deadline (link_now() milliseconds). Also
 * for a new try after LINK_LOST. */
enum link_status link_open(struct link *l, int64_t deadline, struct err *e);
/* Forgets the connection, but not where it led. */
void link_close(struct link *l);
/* Sends a request; params (may be NULL) is borrowed. Its id, or 0: the connection is lost.
 */
json_int_t link_send(struct link *l, const char *method, json_t *params);
/* The next message, of any kind. deadline 0: what is there already. LINK_TIMEOUT also when
 * a signal arrived; the caller knows its own. */
enum link_status link_read(struct link *l, struct link_msg *m, int64_t deadline);
/* Sends and waits for the reply; notifications meanwhile are kept for link_read().
 * LINK_OK and LINK_REFUSED: m is filled in. */
enum link_status link_call(struct link *l, const char *method, json_t *params,
    int64_t deadline, struct link_msg *m, struct err *e);
void link_msg_finish(struct link_msg *m);
/* Its id; 0: a notification. */
json_int_t link_msg_id(const struct link_msg *m);
/* NULL: not that kind of message. Borrowed. */
json_t *link_msg_result(const struct link_msg *m);
json_t *link_msg_error(const struct link_msg *m);
json_t *link_msg_params(const struct link_msg *m);
/* The text of a member of the line, as it came; {NULL, 0}: there is none. */
struct str link_msg_text(const struct link_msg *m, const char *member);
/* Milliseconds of CLOCK_MONOTONIC. */
int64_t link_now(void);
