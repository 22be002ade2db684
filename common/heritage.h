/* What a worker inherits: channel, listeners, shared segment, configuration, described.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

#define HERITAGE_CHANNEL_FD 3 /* struct msg packets */
#define HERITAGE_CONF_FD                                                                   \
	4 /* memfd: the JSON written by heritage_write, read from offset 0 */
#define HERITAGE_SEG_FD 5    /* memfd: common/seg.h */
#define HERITAGE_ACCESS_FD 6 /* access log, opened by the master; /dev/null when off */
#define HERITAGE_ERROR_FD 7  /* error log, opened by the master (a copy of 2 for `-`) */
#define HERITAGE_BOARD_FD 8  /* memfd: common/board.h, shared by all workers */
#define HERITAGE_TRACE_FD                                                                  \
	9 /* memfd, O_APPEND: Python stacks are dumped here on HERITAGE_TRACE_SIGNAL */
#define HERITAGE_ACCOUNTS_FD 10 /* common/acct.h: this worker's table */
/* common/quota.h, read-only, shared by all workers; /dev/null: there are no quotas. */
#define HERITAGE_QUOTA_FD 11
#define HERITAGE_FIRST_LISTENER_FD 12

/* Sent by the master to a worker: every thread's Python stack goes to the trace memfd, then
 * seg->traces grows by one. */
#define HERITAGE_TRACE_SIGNAL (SIGRTMIN + 4)

enum heritage_role { ROLE_WORKER, ROLE_MOLD };

struct heritage_listener {
	int fd;
	bool tls;
	bool is_unix;
	char name[128]; /* "127.0.0.1:8000", "unix:/run/x.sock": for logs and SERVER_NAME */
};

struct heritage {
	struct conf conf;
	struct heritage_listener *listeners; /* owned */
	size_t n_listeners;
	unsigned role;       /* enum heritage_role */
	unsigned slot;       /* 0 .. workers-1: what an operator calls the worker */
	unsigned line;       /* of the board: this process's own while it lives */
	unsigned parked;     /* 1: starts without accepting, until RESUME */
	unsigned generation; /* of code and configuration, from 1 */
	unsigned epoch;      /* how many workers this slot has had */
	unsigned workers;    /* how many there are (wsgi.multiprocess, accept gating) */
	char python[1024]; /* absolute path of the interpreter chosen by the master's probe
			      (may be a venv's symlink: not resolved) */
	char plugin[1024]; /* absolute path of the plugin for it */
	char libpython[1024]; /* absolute path, "" when launched by exec */
	uint8_t
	    ticket_key[80]; /* shared TLS session-ticket key: name 16, hmac 32, aes 32 */
};

/* Writes to a new sealed memfd; returns it (CLOEXEC) or -1. */
NODISCARD int heritage_write(const struct heritage *h, struct err *e);
/* Reads and checks: the worker trusts its master, but a mismatched pair must say so. */
NODISCARD int heritage_read(struct heritage *h, int fd, struct err *e);
void heritage_finish(struct heritage *h);
/* Whether a worker's 1 and 2 are the error log's file, also after it was reopened. */
bool heritage_captures_output(const struct conf *c);
