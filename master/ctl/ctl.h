/* The control server: how it is opened, and how a method of it is written.
 *
 * A method is a function `int ctl_IDENT(struct ctl_call *call)` with the ident of its row
 *in common/ctl.def; it stands in master/ctl/m_FAMILY.c.
 * When it is called the role was checked and the parameters fit the table. It ends with
 *	return ctl_reply(call, result);			or
 *	return ctl_fail(call, CTL_E_..., data, "...");	or
 *	return ctl_wait_job(...) / ctl_defer(...) / ctl_stream(...).
 * and must not touch the call after a reply. SPDX-License-Identifier: MIT */
#pragma once

#include "common/ctl_table.h"
#include "common/err.h"
#include "master/job.h"

#include <jansson.h>

struct ctl;
struct ctl_conn;
struct event;
struct master;

/* NULL in *c and 0: there is none, by configuration or because no default place can be
 * had (said in one line). -1: what was asked for cannot be had. */
NODISCARD int ctl_open(struct ctl **c, struct master *m, struct err *e);
/* Answers what can still be written, removes the socket when it is ours. NULL is fine. */
void ctl_close(struct ctl *c);

/* The socket file, for the state of an upgrade (new reference; NULL: there is none), and
 * its descriptors. */
json_t *ctl_to_json(const struct ctl *c);
NODISCARD int ctl_each_fd(const struct ctl *c, int (*change)(int fd));

/* Who is at the other end, as the kernel says. */
struct ctl_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	gid_t groups[64];
	size_t n_groups;
	char comm[32];
	enum ctl_role role; /* at the time of the call */
	bool anonymous;     /* anybody who reaches a port: no account is shown to it */
};

/* Takes fd over, also on failure: a client the master itself made, with the role in `peer`.
 * lasting: it may be silent for as long as it likes. -1: no more fit in. */
NODISCARD int ctl_attach(struct ctl *c, int fd, const struct ctl_peer *peer, bool lasting);

struct ctl_call;
/* value: the result, or the error's data; borrowed. */
typedef void ctl_answer_fn(struct ctl_call *call, bool ok, json_t *value, const char *why);

struct ctl_call {
	struct master *master;
	struct ctl *ctl;
	struct ctl_conn *conn; /* borrowed */
	const struct ctl_method *method;
	struct ctl_peer peer;
	json_t *params; /* owned; an object, perhaps empty */

	/* The server's: */
	json_t *id; /* owned; string or integer */
	int64_t began_us;
	struct ctl_call *next;
	struct event *timer;                   /* owned; of a deferred call */
	void (*on_end)(struct ctl_call *call); /* of a deferred call */
	void *ctx;                             /* the method's, while deferred */
	char job[16];                          /* waits for this one; "": for none */
	const char *late; /* what to say when the time is up; NULL: the usual */
	bool deferred;
	ctl_answer_fn *answer; /* NULL: the answer goes to the connection as JSON-RPC */
	void *state;           /* of `answer` */
};

/* All return 0. They take over `result` and `data` (NULL: {}). The call is gone after. */
int ctl_reply(struct ctl_call *call, json_t *result);
/* The first words of the message say what happened, the rest what to do about it. */
int ctl_fail(struct ctl_call *call, enum ctl_kind kind, json_t *data, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Answers with the job as it is; j NULL: busy (its id), or shutting down when busy is NULL.
 */
int ctl_reply_job(struct ctl_call *call, const struct job *j, const char *busy);
/* The answer is the job when it has ended, or the error timeout. With `strict` a job that
 * did not end well is the error job_failed. */
int ctl_wait_job(
    struct ctl_call *call, const struct job *j, int64_t timeout_ms, bool strict);
/* The call is kept; whoever keeps `call` answers it by ctl_reply or ctl_fail later. When
 * the time is up (answered: timeout) or the client goes away, `on_end` is called first and
 * must forget the call; ctx is for both of them. */
int ctl_defer(struct ctl_call *call, int64_t timeout_ms,
    void (*on_end)(struct ctl_call *call), void *ctx);

/* A stream of snapshots. `make` gives the members of the notification (an object) beside
 * sub, seq and t; the first one is the `state` of the answer. It is not called while the
 * client is behind, so what it gives next is the newest. NULL: nothing new. */
struct ctl_stream_ops {
	const char *method; /* of the notifications: "stats" */
	json_t *(*make)(struct master *m, void *ctx, bool first);
	void (*finish)(void *ctx); /* NULL: nothing to free */
};
int ctl_stream(struct ctl_call *call, int64_t interval_ms, const struct ctl_stream_ops *ops,
    void *ctx);

/* Parameters; the fallback when absent. */
const char *ctl_param_str(
    const struct ctl_call *call, const char *name, const char *fallback);
int64_t ctl_param_int(const struct ctl_call *call, const char *name, int64_t fallback);
bool ctl_param_bool(const struct ctl_call *call, const char *name, bool fallback);
/* A duration given in seconds, as milliseconds. */
int64_t ctl_param_ms(const struct ctl_call *call, const char *name, int64_t fallback_ms);
double ctl_param_num(const struct ctl_call *call, const char *name, double fallback);
/* Whether the array parameter is absent or has the word in it. */
bool ctl_param_selects(const struct ctl_call *call, const char *name, const char *word);
bool ctl_has_param(const struct ctl_call *call, const char *name);

/* The caller, for a job. */
struct job_by ctl_by(const struct ctl_call *call);
/* Unix time with microseconds. */
double ctl_now(void);
/* The same for the same value, whatever the order of its members. */
uint32_t ctl_digest(const json_t *v);
/* A string that may hold any bytes; what is not UTF-8 becomes '?'. */
json_t *ctl_text(struct str s);

/* Every method of ctl.def. */
#define METHOD(ident, ...) int ctl_##ident(struct ctl_call *call);
#define PARAM(...)
#include "common/ctl.def"
#undef METHOD
#undef PARAM
