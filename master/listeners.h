/* The listening sockets: opened by the master before anything else, held to its end.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/bind.h"
#include "common/conf.h"

#include <sys/types.h>

struct privs;

#define LISTENERS_MAX 64

struct listener {
	int fd; /* owned */
	bool is_unix;
	bool made;                /* by us, so nobody goes on listening on it after us */
	bool stored;              /* systemd keeps a copy for the next run */
	char name[128];           /* "127.0.0.1:8000", "unix:/run/x.sock" */
	char path[BIND_PATH_MAX]; /* of a socket file we made, to be removed; "": none */
	dev_t dev;                /* of that file: somebody else's is left alone */
	ino_t ino;
};

struct listeners {
	struct listener v[LISTENERS_MAX];
	size_t n;
};

/* The sockets systemd passed, or else every --bind. Takes LISTEN_* out of the environment.
 * `e` says what is in the way and what to do. */
NODISCARD int listeners_open(
    struct listeners *ls, const struct conf *c, const struct privs *privs, struct err *e);
/* The instance ends: new connections are no longer begun, so that workers can empty the
 * accept queues for good. Best effort: without it a few may be reset. */
void listeners_refuse(struct listeners *ls);
void listeners_close(struct listeners *ls);
