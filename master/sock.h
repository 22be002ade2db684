/* Makes one listening socket. SPDX-License-Identifier: MIT */
#pragma once

#include "master/listeners.h"

struct sock_opts {
	int backlog;
	bool reuse_port;
	mode_t mode; /* of a unix socket, umask applied */
	bool chown;  /* give a unix socket to uid:gid */
	uid_t uid;
	gid_t gid;
};

/* All three fill in `l`, descriptor CLOEXEC and non-blocking. */
NODISCARD int sock_open_tcp(struct listener *l, const struct bind_addr *b,
    const struct sock_opts *o, struct err *e);
NODISCARD int sock_open_unix(struct listener *l, const struct bind_addr *b,
    const struct sock_opts *o, struct err *e);
/* A socket somebody else bound; taken over when it is a stream socket that can listen. */
NODISCARD int sock_adopt(
    struct listener *l, int fd, const struct sock_opts *o, struct err *e);
