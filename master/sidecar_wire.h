/* The stream between the master and a helper process: whole lines in, whole lines out, both
 * bounded. SPDX-License-Identifier: MIT */
#pragma once

#include "master/backoff.h"
#include "master/sidecar.h"

struct event;

#define SIDECAR_WIRE_FDS 64 /* waiting to be taken */

/* Goes with the byte at this place of what waits. */
struct sidecar_wire_fd {
	size_t at;
	int fd; /* owned */
};

struct sidecar_wire {
	struct event_base *base; /* borrowed */
	int fd;                  /* owned; -1: closed */
	struct event *on_read;   /* owned */
	struct event *on_write;  /* owned */
	char *in, *out;          /* owned */
	size_t in_n, in_seen, in_cap, out_n, out_cap;
	struct sidecar_wire_fd fds[SIDECAR_WIRE_FDS]; /* in their order */
	size_t n_fds;
	bool ending; /* when out is empty, so is the stream */
	void (*on_line)(void *ctx, json_t *line);
	/* Closed by the helper (why NULL), or not to be understood. */
	void (*on_lost)(void *ctx, const char *why);
	void *ctx;
};

struct sidecar_request {
	struct sidecar_request *next;
	uint64_t id;
	sidecar_answer_fn *answer; /* NULL: nobody waits any more */
	void *ctx;
};

enum sidecar_state {
	SIDECAR_WAITING, /* for the time of the next start */
	SIDECAR_RUNNING,
	SIDECAR_ENDING, /* it was asked to go */
	SIDECAR_ENDED,
};

struct sidecar {
	struct sidecar_setup setup;
	enum sidecar_state state;
	pid_t pid; /* 0: none */
	bool ready;
	bool retried; /* its end: there is no further try */
	bool hung;    /* killed for that */
	int64_t patience_ms,
	    heard_ms; /* present deadline; clock of its last sign of life */
	unsigned restarts;
	int64_t born_ms;
	struct backoff backoff;
	struct event *timer; /* owned */
	struct sidecar_wire wire;
	struct sidecar_request *requests; /* owned list */
	unsigned n_requests;
	uint64_t last_id;
};

void sidecar_wire_init(struct sidecar_wire *w, struct event_base *base,
    void (*on_line)(void *ctx, json_t *line), void (*on_lost)(void *ctx, const char *why),
    void *ctx);
/* Forks and execs the helper at the other end. Its pid, or -1. */
NODISCARD pid_t sidecar_wire_start(struct sidecar_wire *w,
    const struct sidecar_setup *setup, const int *fds, size_t n, struct err *e);
/* Queues a line (stolen). -1: too much waits, or there is no memory. */
NODISCARD int sidecar_wire_put(struct sidecar_wire *w, json_t *line);
/* The same, with a descriptor (stays the caller's) that arrives with the line's beginning.
 */
NODISCARD int sidecar_wire_put_fd(struct sidecar_wire *w, json_t *line, int fd);
/* What has come and was not read yet. */
void sidecar_wire_drain(struct sidecar_wire *w);
/* Nothing more is written behind what is queued. */
void sidecar_wire_end(struct sidecar_wire *w);
void sidecar_wire_close(struct sidecar_wire *w);
