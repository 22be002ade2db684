/* A helper process of the master that speaks JSON, one object per line, over a socket pair:
 * started, answered, restarted with a pause that grows, ended. Nothing here waits.
 *
 * To the helper:    its configuration (the first line), then
 * {"id":N,"method":"..","params":{..}}, and without an id what needs no answer; such a line
 * may bring a descriptor. From the helper:  {"ready":true} once,
 * {"id":N,"result":..} or {"id":N,"error":{"kind":"..", "message":"..","data":{..}}},
 * {"event":"..","data":{..}} and
 *                   {"log":"warning","event":"..","text":"k=v"}
 * The end of the stream is the order to finish and go. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <jansson.h>
#include <sys/types.h>

#define SIDECAR_FD 3       /* the stream, in the helper */
#define SIDECAR_FIRST_FD 4 /* what on_start gave, in its order */
#define SIDECAR_FDS_MAX 8
#define SIDECAR_NOT_NOW SIZE_MAX
#define SIDECAR_LINE_MAX (8u << 20) /* from the helper */
#define SIDECAR_OUT_MAX (4u << 20)  /* not yet taken by it */
#define SIDECAR_REQUESTS_MAX 256    /* unanswered */
#define SIDECAR_PATIENCE 16

struct event_base;
struct privs;
struct sidecar;

/* Everything is borrowed and outlives the sidecar; callbacks may be NULL. */
struct sidecar_setup {
	struct event_base *base;
	const char *name;          /* in log lines and as the process's title */
	const char *path;          /* of the program, absolute */
	const struct privs *privs; /* whom it runs as; NULL: the master */
	int64_t grace_ms;          /* from the order to go until SIGKILL */
	/* It is started once more for its end, where it is not there to be told or dies of
	 * a signal before it has finished. */
	bool must_finish;
	/* Longest it owes answers and says nothing, then SIGKILL: the next time twice as
	 * long, up to SIDECAR_PATIENCE times, so that one that is only slow gets on. */
	int64_t silence_ms;
	const char *ping; /* a method it is asked for when nobody asks; NULL: it is not */
	int64_t ping_ms;  /* so long after its last answer */
	void *ctx;
	/* Before each start: more descriptors for the helper (they stay the caller's).
	 * Returns how many; SIDECAR_NOT_NOW: it is tried again later. */
	size_t (*on_start)(void *ctx, int fds[SIDECAR_FDS_MAX]);
	/* Behind each start: its configuration, a new reference. */
	json_t *(*on_config)(void *ctx);
	/* Behind its configuration: what it has to be told before anything else. The first
	 * time perhaps before sidecar_open() returns. */
	void (*on_started)(void *ctx);
	/* It is ready (why NULL), or has ended unasked. */
	void (*on_state)(void *ctx, const char *why);
	/* A notification; data is borrowed. */
	void (*on_event)(void *ctx, const char *type, json_t *data);
	/* What sidecar_end() asked for has happened. */
	void (*on_ended)(void *ctx);
};

/* One of the two is NULL; both are borrowed. The error is an object as above. */
typedef void sidecar_answer_fn(void *ctx, json_t *result, json_t *error);

/* Starts it. NULL: no memory, no processes. */
struct sidecar *sidecar_open(const struct sidecar_setup *setup, struct err *e);
/* Kills what still runs, forgets unanswered requests. NULL is fine. */
void sidecar_close(struct sidecar *s);
/* Asks it to finish what it has and go, and starts no other one; on_ended follows, perhaps
 * at once. */
void sidecar_end(struct sidecar *s);
/* Whether what sidecar_end() asked for has happened. */
bool sidecar_has_ended(const struct sidecar *s);
/* Starts it anew after sidecar_end(). */
void sidecar_restart(struct sidecar *s);
/* Whether it runs and has said that it is ready. */
bool sidecar_is_ready(const struct sidecar *s);
/* How long it has been owing answers and saying nothing; 0: it owes none. */
int64_t sidecar_silent_ms(const struct sidecar *s);
/* 0: it does not run. */
pid_t sidecar_pid(const struct sidecar *s);
unsigned sidecar_restarts(const struct sidecar *s);
/* One that is not ready yet finds it behind its configuration. params (NULL: {}) is stolen.
 * The answer comes once, unless sidecar_forget(ctx) comes first. -1: it is not there, or
 * does not take requests any more; no answer follows. */
NODISCARD int sidecar_request(struct sidecar *s, const char *method, json_t *params,
    sidecar_answer_fn *answer, void *ctx, struct err *e);
void sidecar_forget(struct sidecar *s, const void *ctx);
/* Tells it something with a descriptor, which stays the caller's. -1: not now. */
NODISCARD int sidecar_hand(struct sidecar *s, const char *method, json_t *params, int fd);
/* For every dead child of the master: true when it was this one. */
bool sidecar_on_child(struct sidecar *s, pid_t pid, int status);
