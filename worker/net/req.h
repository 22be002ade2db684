/* One request, from its first byte to its outcome: what both sides of the seam may touch.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/acct.h"
#include "common/addr.h"
#include "common/http/head.h"
#include "worker/net/outq.h"
#include "worker/net/timer.h"

#include <stdatomic.h>

struct conn;
struct body;
struct listener;
struct net;

enum req_outcome {
	REQ_OPEN,        /* not yet known */
	REQ_SENT,        /* the kernel took the whole answer */
	REQ_CLIENT_GONE, /* reset or closed before the end */
	REQ_TIMED_OUT,   /* one of the timeouts; the status says which */
	REQ_APP_FAILED,  /* the application's error cut the answer */
	REQ_STOPPED,     /* the worker's graceful time was over */
	REQ_REFUSED,     /* answered by the server itself (4xx, 5xx of http.md) */
	REQ_OUTCOMES
};

/* Atomic bits in req.signals: what an application thread wants from the I/O thread. */
enum {
	SIG_OUT = 0x01,       /* output was handed over */
	SIG_FINISH = 0x02,    /* no more output will come */
	SIG_DONE = 0x04,      /* the application side is finished with the request */
	SIG_WANT_BODY = 0x08, /* a reader waits: send 100 Continue, read on */
	SIG_BODY_ROOM = 0x10, /* body memory was used up: read on */
	SIG_WANT_PULL = 0x20, /* output was full: call pull() below low water */
	SIG_DEADLINE = 0x40,  /* deadline_ns was set */
	SIG_AWAIT = 0x80,     /* done but for what waits for the acknowledgement */
};

/* req_finish() flags */
enum {
	REQ_ABORT = 0x01,     /* cut the connection: the answer is not whole (http.md 40) */
	REQ_CLOSE = 0x02,     /* whole, but the connection ends after it */
	REQ_NEEDS_END = 0x04, /* hooks are waiting: call end() when the outcome is final */
	REQ_WANTS_ACK = 0x08, /* and some of them for the acknowledgement */
};

/* Wire counts of one request. The I/O thread writes, application threads may read at any
 * time (relaxed). */
struct req_counts {
	_Atomic uint64_t in_head, in_body, in_framing, in_tls;
	_Atomic uint64_t out[OUT_KINDS]; /* accepted by the kernel */
	_Atomic uint64_t out_tls;
};

/* What of a request is in the table of accounts already. */
struct req_account {
	uint64_t seen[8]; /* of struct req_counts */
	uint32_t row;
	bool fixed;  /* row is its own, and held */
	bool begun;  /* counted as a request */
	bool open;   /* a send may be uncounted */
	bool over;   /* its outcome is counted */
	bool judged; /* its status is */
	bool timed;  /* the application's time is */
};

struct req {
	/* Constant from start() on */
	struct head head;
	char account[ACCT_KEY_MAX]; /* of the application, before `answering`; see account_n
				     */
	char route[ACCT_KEY_MAX];   /* the same; see route_n */
	const char *base;           /* what the spans of head refer to */
	struct addr peer;
	const struct listener *listener;
	bool tls;
	bool https;             /* TLS, or a trusted forwarder says so: wsgi.url_scheme */
	uint64_t serial;        /* request number of this worker, from 1 */
	uint32_t keepalive_seq; /* requests before this one on the connection */
	uint64_t start_ns;      /* CLOCK_MONOTONIC at the first byte */
	int64_t start_unix;     /* wall clock seconds, for Date and logs */
	int conn_fd;            /* for req_dup_socket(); -1 once the request is over */

	/* The application side's own */
	void *app;            /* its per-request object */
	struct req *app_next; /* link in its queues */
	uint32_t app_thread;  /* which thread runs it: req_taken() */
	_Atomic bool taken;   /* a thread has begun with it */

	/* Set by application threads before req_finish(), read by the I/O thread after */
	uint32_t account_n;     /* bytes of `account`; 0: it did not say */
	uint32_t route_n;       /* bytes of `route`; 0: it did not say */
	int status;             /* 0 until a response head was made */
	_Atomic bool answering; /* the final head is in the output: interim ones are over */
	_Atomic bool continued; /* the application wrote its own 100 Continue */
	uint64_t app_ns;        /* time inside the application */
	uint64_t queue_ns;      /* until a thread took it, once `taken` */
	_Atomic uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: as --timeout; or REQ_NEVER */

	/* Set by the I/O thread, readable by everybody */
	struct req_counts counts;
	_Atomic bool aborted; /* the answer can no longer arrive: stop working on it */
	_Atomic int outcome;  /* enum req_outcome */
	_Atomic uint64_t first_out_ns, end_ns;
	_Atomic uint64_t acked; /* wire bytes of the answer; valid when settled */
	_Atomic bool settled;   /* the outcome is final on the client's side as well */

	struct body *body; /* see body.h; NULL: no body */
	_Atomic uint32_t signals;
	uint32_t finish_flags;
	struct req *sig_next; /* in the list of requests with signals */

	/* The I/O thread's own */
	struct net *net;       /* borrowed */
	struct conn *conn;     /* NULL once the connection went on or away */
	struct conn *settling; /* which knows of its answer, until settled or forgotten */
	bool ack_awaited;      /* end() is called when settled */
	bool recorded;         /* counted and logged; only hooks are left */
	char *own_out; /* owned: output of the server itself, before the application's */
	uint32_t own_n, own_sent, own_head; /* bytes, of these sent, of these head */
	bool finished;                      /* SIG_FINISH seen */
	bool with_app;                      /* start() was called and req_done() not yet */
	bool app_started;                   /* start() was called */
	uint64_t ready_ns;                  /* at that moment: CLOCK_MONOTONIC */
	uint64_t read_ns; /* CLOCK_MONOTONIC at its last byte; 0: it has not come */
	bool end_called;
	bool head_whole;       /* it was understood to its end */
	bool taken_over;       /* the server answers: the application's output is dropped */
	bool pull_wanted;      /* parked until output is below low water */
	bool reader_waits;     /* an application thread waits for body bytes */
	bool overdue;          /* its deadline has passed */
	bool interim_sent;     /* 100 Continue went out (or is not wanted any more) */
	uint8_t own_outcome;   /* taken_over: enum req_outcome when the answer is out */
	uint64_t body_held_ns; /* the client was not read from: not its time */
	int own_status;        /* taken_over: what was answered */
	uint8_t cut_in;        /* enum net_phase + 1 in which it was ended early */
	uint32_t retry_after;  /* seconds, in that answer; 0: not told */
	bool slowed;           /* by a quota, or refused: to be counted */
	bool slowed_counted;
	uint32_t inflight; /* index in the shared segment + 1; 0: none */
	struct req_account acct;
	struct timer timer;      /* TIMER_APP, _DEADLINE or _STUCK */
	struct req *prev, *next; /* all open requests of the worker */
	char *buffer;            /* owned: memory behind base */
	size_t buffer_cap;

	struct outq out; /* the application's output under way */
};

/* SERVER_NAME and SERVER_PORT of the listener a request came in by. */
const char *req_server_name(const struct req *r);
const char *req_server_port(const struct req *r);

/* ---- For application threads. All thread-safe against the I/O thread; for one request
 * only one application thread at a time. ---- */

/* Once, before anything else: thread `index` begins with it. */
void req_taken(struct req *r, uint32_t index);

/* Who is billed for it, as the application says: any bytes. Before `answering` is set. */
void req_bill(struct req *r, const char *account, size_t n);
/* Which route answers it, any bytes; for metrics. Before `answering` is set. */
void req_name_route(struct req *r, const char *route, size_t n);

/* At least n contiguous bytes to write output into (the open batch grows as needed); NULL
 * without memory. Valid until the next req_out_ call. */
char *req_out_room(struct req *r, size_t n);
/* The next n bytes of that room are output of this kind. */
void req_out_add(struct req *r, enum out_kind kind, size_t n);
/* Copies p[0..n) into the open batch. -1 without memory. */
NODISCARD int req_out_copy(struct req *r, enum out_kind kind, const char *p, size_t n);
/* p[0..n) stays valid until app_ops.release(owner). -1 without memory: owner stays yours.
 */
NODISCARD int req_out_borrow(
    struct req *r, enum out_kind kind, const char *p, size_t n, void *owner);
/* n bytes of fd from off on, as OUT_BODY; the file stays open until release(owner). */
NODISCARD int req_out_file(struct req *r, int fd, int64_t off, uint64_t n, void *owner);
/* Hands what was added over to the I/O thread; nothing happens when nothing was. */
void req_out_publish(struct req *r);
/* True when more output should wait: above --output-high. Then call req_want_pull() and
 * leave the request alone until app_ops.pull(). */
bool req_out_full(const struct req *r);
void req_want_pull(struct req *r);

/* Ends the application's time at this moment (CLOCK_MONOTONIC), or REQ_NEVER, instead of
 * --timeout without a sign of life. */
#define REQ_NEVER UINT64_MAX
void req_set_deadline(struct req *r, uint64_t at_ns);

/* Whether the connection may persist after this answer: asked for by the client and allowed
 * by the server right now (neither it nor the instance steps back). Ask once, when the head
 * is made. */
bool req_may_persist(const struct req *r);

/* A duplicate of the connection's descriptor (close-on-exec); -1 when the request is over
 * or there is none. */
NODISCARD int req_dup_socket(struct req *r);

/* Before an application thread waits for anything (work, body, room): what it signalled and
 * the I/O thread was not yet woken for reaches it now. */
void req_app_idle(void);

/* Publishes, and says that no more output comes. Without REQ_NEEDS_END this is req_done()
 * as well: do not touch r after it. */
void req_finish(struct req *r, unsigned flags);
/* After end(): the application side is finished with r. */
void req_done(struct req *r);
/* After end(), instead: finished but for hooks that wait until r->settled. end() is called
 * once more, perhaps at once; until then do not touch r. */
void req_await_ack(struct req *r);

/* Reads up to n body bytes: > 0 bytes, 0 at the body's end, BODY_AGAIN, BODY_BROKEN. After
 * BODY_AGAIN call req_body_want() and wait for app_ops.body(). */
enum { BODY_AGAIN = -1, BODY_BROKEN = -2 };
int64_t req_body_read(struct req *r, char *dst, size_t n);
void req_body_want(struct req *r);
/* Why BODY_BROKEN: fixed words; *bad_framing: a chunk syntax error, not a short client. */
const char *req_body_error(const struct req *r, bool *bad_framing);
/* Body bytes that can be read without waiting. */
uint64_t req_body_ready(const struct req *r);
