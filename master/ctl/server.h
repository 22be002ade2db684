/* What the files of the control server share; methods need only ctl.h.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"
#include "common/log.h"
#include "master/ctl/ctl.h"
#include "master/ctl/ctl_path.h"
#include "master/events.h"

/* Microseconds of Unix time need sixteen digits; seventeen make 0.2 look odd. */
#define CTL_DUMP (JSON_COMPACT | JSON_REAL_PRECISION(16))
#define CTL_CONNS_MAX 64
#define CTL_ATTACHED_MAX 32  /* beside them: clients of the gateway, and its own */
#define CTL_CONNS_RESERVED 8 /* of them for uid 0 and our own */
#define CTL_SUBS_MAX 8       /* of one connection */
#define CTL_OUT_HIGH (1 << 20)
#define CTL_OUT_MAX (8 << 20)
#define CTL_LOG_KEPT 100
#define CTL_LOG_LINE_MAX 8192
#define CTL_LAGS 256 /* ticks, one a second */
#define CTL_ROLES_MAX 64

/* One line of --control-role. */
struct ctl_role_rule {
	bool group;
	unsigned id; /* uid or gid */
	enum ctl_role role;
	const char *accounts; /* borrowed; "a,b": whose usage it may ask for; NULL: all */
};

struct ctl_roles {
	struct ctl_role_rule v[CTL_ROLES_MAX];
	size_t n;
};

NODISCARD int ctl_roles_parse(
    struct ctl_roles *r, const struct strlist *rules, struct err *e);
enum ctl_role ctl_roles_of(const struct ctl_roles *r, const struct ctl_peer *peer);
/* Accounts with commas that the peer may ask for; NULL: all. */
const char *ctl_roles_accounts(const struct ctl_roles *r, const struct ctl_peer *peer);
/* Whether one is among those; n: the name's length. */
bool ctl_roles_show(const char *accounts, const char *name, size_t n);
/* What the kernel knows of the other end. */
NODISCARD int ctl_peer_read(int fd, struct ctl_peer *peer);

/* ---- requests (rpc.c): pure but for the methods they call ---- */

struct ctl_request {
	json_t *root;   /* owned */
	json_t *id;     /* borrowed; NULL: none */
	json_t *params; /* owned: checked against the table */
	const struct ctl_method *method;
	enum ctl_kind kind; /* of the error */
	json_t *data;       /* owned; of the error */
	char why[512];      /* of the error */
	bool broken;        /* the stream cannot be trusted any more */
	bool notification;
};

/* 0: to be carried out. -1: kind, data and why say what is wrong with it. */
NODISCARD int ctl_request_parse(
    struct ctl_request *r, const char *line, size_t n, enum ctl_role role);
void ctl_request_finish(struct ctl_request *r);
/* JSON of bounded depth without duplicate keys; NULL: it is none. */
json_t *ctl_json_load(const char *p, size_t n);
/* Parameters against the table (params.c): a checked object, or NULL with r filled in. */
json_t *ctl_params_check(struct ctl_request *r, const json_t *params);
/* One line with its newline; owned by the caller, NULL without memory. id may be NULL. */
char *ctl_error_line(json_t *id, enum ctl_kind kind, json_t *data, const char *why);
/* A JSON object for an error's `data`; data is stolen. */
json_t *ctl_error_data(enum ctl_kind kind, json_t *data);

/* ---- connections (conn.c) ---- */

enum ctl_dialect { CTL_UNKNOWN, CTL_JSON, CTL_GUNICORN };

struct ctl_sub;

struct ctl_conn {
	struct ctl *ctl;        /* borrowed */
	struct ctl_conn *next;  /* in ctl->conns */
	int fd;                 /* owned */
	struct event *on_read;  /* owned */
	struct event *on_write; /* owned */
	struct event *again;    /* owned; on_read in the next round of the loop */
	struct ctl_peer peer;
	enum ctl_dialect dialect;
	char *in; /* owned; in_n of in_cap bytes, the first in_used are done with */
	size_t in_n, in_used, in_seen, in_cap;
	char *out; /* owned; the same */
	size_t out_n, out_used, out_cap;
	unsigned in_flight;
	struct ctl_sub *subs; /* owned list */
	unsigned n_subs;
	bool paused;   /* enough is in flight, or in its output: the rest stays unread */
	bool attached; /* made by ctl_attach() */
	bool lasting;  /* not ended for its silence */
	bool eof;      /* it sends no more, but may still read */
	bool closing;  /* nothing more is read as requests */
	bool broken;   /* to be freed by its own callback */
	int64_t born_ms, heard_ms, progress_ms, closing_ms;
};

void ctl_conn_accept(struct ctl *c);
void ctl_conn_destroy(struct ctl_conn *conn);
/* Queues and tries to write at once; a connection that takes nothing is dropped. */
void ctl_conn_send(struct ctl_conn *conn, const char *p, size_t n);
size_t ctl_conn_pending(const struct ctl_conn *conn);
/* No more requests: what is queued is written, then the end is signalled. */
void ctl_conn_end(struct ctl_conn *conn);
/* A call of it has been answered: perhaps the next one can begin. */
void ctl_conn_resume(struct ctl_conn *conn);
/* Once a second: time limits. */
void ctl_conn_tick(struct ctl_conn *conn, int64_t now_ms);
/* Writes when it can be written although nothing is queued: a subscriber lags. */
void ctl_conn_want_write(struct ctl_conn *conn);

/* Carries out what has come whole (input.c); true: there is more, in another round. */
bool ctl_input_take(struct ctl_conn *conn);

/* ---- calls (call.c) ---- */

/* Carries a checked request out; params and id get a new reference. With `answer` the
 * outcome goes there instead of to the connection (state travels in call->state). */
void ctl_call_run(struct ctl_conn *conn, const struct ctl_method *method, json_t *id,
    json_t *params, ctl_answer_fn *answer, void *state);
/* A line in the log and an event: who called what with which parameters (NULL: none; only
 * their digest, they may hold secrets), and how it ended. */
void ctl_audit(struct ctl *c, const struct ctl_peer *peer, const struct ctl_method *method,
    const json_t *params, const char *outcome);
void ctl_calls_forget(struct ctl *c, struct ctl_conn *conn);
void ctl_calls_finish(struct ctl *c);
void ctl_calls_job_changed(struct ctl *c, const struct job *j);

/* ---- subscriptions (subs.c) ---- */

enum ctl_sub_kind { CTL_SUB_EVENTS, CTL_SUB_LOGS, CTL_SUB_STREAM };

/* Answers the call with {"sub","seq","state"} and begins. `types` (may be NULL) is
 * borrowed. */
int ctl_sub_events(struct ctl_call *call, const json_t *types, uint64_t after_seq);
int ctl_sub_logs(struct ctl_call *call, enum log_level min, unsigned tail);
/* -1: there is none with this number. */
NODISCARD int ctl_sub_end(struct ctl_conn *conn, json_int_t number);
void ctl_subs_finish(struct ctl_conn *conn);
/* Sends what is new and fits. */
void ctl_subs_pump(struct ctl_conn *conn);
/* As events_to_json, without what only an operator may see. */
json_t *ctl_plain_event(const struct event_record *r);
bool ctl_types_match(const json_t *types, const char *type);

/* ---- the master's log lines (logtap.c) ---- */

struct ctl_log_line {
	uint64_t seq;
	double t;
	enum log_level level;
	char *text; /* owned */
};

struct ctl_logtap {
	struct ctl_log_line v[CTL_LOG_KEPT];
	uint64_t seq;          /* of the last one */
	struct event *on_line; /* owned; wakes the subscribers outside of the logger */
};

NODISCARD int ctl_logtap_open(struct ctl_logtap *t, struct ctl *c);
void ctl_logtap_close(struct ctl_logtap *t);

/* ---- gunicorn's frames (gunicorn.c) ---- */

/* One whole frame (without its length). */
void ctl_gunicorn_frame(struct ctl_conn *conn, const char *p, size_t n);

/* ---- the server (ctl.c) ---- */

struct ctl {
	struct master *master; /* borrowed */
	struct ctl_path path;
	struct event *on_accept; /* owned */
	struct event *on_tick;   /* owned; every second */
	struct ctl_roles roles;
	struct ctl_conn *conns; /* owned list */
	unsigned n_conns;       /* without those attached */
	unsigned n_attached;
	struct ctl_call *waiting; /* owned list: deferred calls */
	struct ctl_logtap logtap;
	json_int_t last_sub;
	char *event_text; /* owned; the last event as text, for many subscribers */
	uint64_t event_seq;
	int64_t tick_due_us;
	uint32_t lags_us[CTL_LAGS]; /* how late each tick came */
	unsigned n_ticks;
	int64_t quiet_ms; /* log lines about clients: not more than ten a second */
	unsigned quiet_n;
	/* logs.level with ttl_s */
	struct event *level_timer; /* owned */
	enum log_level level_before;
};

/* Of the configuration that serves, as config.get has it (m_config.c); a string. */
json_t *ctl_config_revision(const struct master *m);
int64_t ctl_now_ms(void);
int64_t ctl_now_us(void);
/* Whether another line about clients may be logged in this second. */
bool ctl_may_log(struct ctl *c);
double ctl_lag_p99_s(const struct ctl *c);
