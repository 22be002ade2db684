/* The channel between the master and a worker: typed packets on a SOCK_SEQPACKET pair.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

enum msg_type {
#define MSG(name, value, text) MSG_##name = (value),
#include "common/msg.def"
#undef MSG
};

#define MSG_PAYLOAD_MAX ((size_t)60 * 1024)

/* Both ends are CLOEXEC and non-blocking. */
NODISCARD int msg_pair(int fds[2], struct err *e);

#define MSG_FDS_MAX 4

/* Payloads with a shape: host byte order, both ends are of one build (the heritage says
 * so). A receiver takes nothing but the exact size. */
struct msg_drain {
	uint32_t graceful_ms; /* then what is left is cut */
	uint32_t idle_ms;     /* a connection idle for longer is closed without an answer */
	uint32_t
	    accept; /* 1: first take what waits in the accept queues (nobody else will) */
};

struct msg_checked {
	uint32_t status; /* HTTP status, 0: no answer */
};

struct msg_fork {
	uint32_t slot, epoch, line, workers; /* as in struct heritage */
	uint32_t parked;
};

struct msg_forked {
	uint32_t slot, epoch; /* of the FORK this answers */
	int32_t pid; /* of the worker, a child of the master by now; -errno: none */
};

struct msg_serve {
	uint32_t role; /* enum ctl_role of the client */
};

struct msg {
	enum msg_type type;
	size_t n; /* payload bytes */
	size_t n_fds;
	int fds[MSG_FDS_MAX]; /* received: owned by the receiver, CLOEXEC */
	char payload[MSG_PAYLOAD_MAX];
};

/* Sends one packet; payload cut at MSG_PAYLOAD_MAX; fds (may be NULL) travel as SCM_RIGHTS
 * and stay the caller's. -1 with errno (EAGAIN: the peer does not read; EPIPE: gone). */
NODISCARD int msg_send(int fd, enum msg_type type, const void *payload, size_t n,
    const int *fds, size_t n_fds);

/* Receives one packet. Returns 1, 0 at end of file, -1 with errno; EPROTO for what is no
 * message (its descriptors are closed). */
NODISCARD int msg_recv(int fd, struct msg *m);
