/* An application side in C for tests of the I/O thread.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/support/fake_app.h"

#include "common/http/resp.h"
#include "worker/net/req.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum job_kind { JOB_START, JOB_BODY, JOB_PULL, JOB_END };

struct job {
	struct job *next;
	struct req *r;
	enum job_kind kind;
};

/* What a request needs to go on where it left. */
struct progress {
	uint64_t sent, total, read;
	bool close;          /* the head said so */
	const char *account; /* NULL: it says nothing */
};

struct fake_counts fake_counts;
_Atomic int fake_stall_ms, fake_let_go, fake_gate;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct job *first, **last = &first;
static bool stopping;
static pthread_t thread;
static char block[1 << 20];

static void
push(struct req *r, enum job_kind kind)
{
	struct job *j = malloc(sizeof(*j));

	*j = (struct job){.r = r, .kind = kind};
	pthread_mutex_lock(&lock);
	*last = j;
	last = &j->next;
	pthread_mutex_unlock(&lock);
}

static void
ops_start(struct req *r)
{
	atomic_fetch_add(&fake_counts.started, 1);
	push(r, JOB_START);
}

static void
ops_body(struct req *r)
{
	push(r, JOB_BODY);
}

static void
ops_pull(struct req *r)
{
	push(r, JOB_PULL);
}

static void
ops_end(struct req *r)
{
	atomic_fetch_add(&fake_counts.ended, 1);
	push(r, JOB_END);
}

static bool
ops_overdue(struct req *r)
{
	(void)r;
	atomic_fetch_add(&fake_counts.overdue, 1);
	return true;
}

static void
ops_release(void *owner)
{
	atomic_fetch_add((_Atomic int *)owner, 1);
}

static void
ops_flush(void)
{
	int stall = atomic_exchange(&fake_stall_ms, 0);

	if (stall > 0)
		poll(NULL, 0, stall);
	pthread_mutex_lock(&lock);
	if (first != NULL)
		pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

static void
ops_stop(void)
{
	pthread_mutex_lock(&lock);
	stopping = true;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

const struct app_ops fake_app_ops = {.start = ops_start,
    .body = ops_body,
    .pull = ops_pull,
    .end = ops_end,
    .overdue = ops_overdue,
    .release = ops_release,
    .flush = ops_flush,
    .stop = ops_stop};

static void
put_head(struct req *r, const char *fields)
{
	char head[256];
	struct progress *p = r->app;
	int n;

	p->close = !req_may_persist(r);
	n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n%s%s\r\n", fields,
	    p->close ? "Connection: close\r\n" : "");

	if (p->account != NULL)
		req_bill(r, p->account, strlen(p->account));
	r->status = 200;
	r->answering = true;
	if (req_out_copy(r, OUT_HEAD, head, (size_t)n) < 0)
		abort();
}

static void
put_body(struct req *r, const char *p, size_t n)
{
	if (req_out_copy(r, OUT_BODY, p, n) < 0)
		abort();
}

static void
finish(struct req *r, unsigned flags)
{
	struct progress *p = r->app;

	if (p->close)
		flags |= REQ_CLOSE;
	free(p);
	r->app = NULL;
	if (!(flags & REQ_NEEDS_END))
		atomic_fetch_add(&fake_counts.done, 1);
	req_finish(r, flags);
}

static void
run_big(struct req *r)
{
	struct progress *p = r->app;

	while (p->sent < p->total && !r->aborted) {
		if (req_out_full(r)) {
			req_want_pull(r);
			return;
		}
		put_body(r, block, 65536);
		req_out_publish(r);
		p->sent += 65536;
	}
	finish(r, 0);
}

static void
run_echo(struct req *r)
{
	struct progress *p = r->app;
	char buf[4096], text[32];
	int64_t n;

	while ((n = req_body_read(r, buf, sizeof(buf))) > 0)
		p->read += (uint64_t)n;
	if (n == BODY_AGAIN) {
		req_body_want(r);
		return;
	}
	n = snprintf(text, sizeof(text), "%08llu", (unsigned long long)p->read);
	put_head(r, "Content-Length: 8\r\n");
	put_body(r, text, (size_t)n);
	finish(r, 0);
}

static void
run_stream(struct req *r)
{
	put_head(r, "Transfer-Encoding: chunked\r\n");
	for (int i = 0; i < 16; i++) {
		if (req_out_copy(r, OUT_FRAMING, "5\r\n", 3) < 0)
			abort();
		put_body(r, "chunk", 5);
		if (req_out_copy(r, OUT_FRAMING, "\r\n", 2) < 0)
			abort();
		req_out_publish(r);
	}
	if (req_out_copy(r, OUT_FRAMING, "0\r\n\r\n", 5) < 0)
		abort();
	finish(r, 0);
}

static bool
is(struct req *r, const char *path)
{
	return str_eq(span_str(r->base, r->head.path), str_of(path));
}

static void
run_soon(struct req *r)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	req_set_deadline(
	    r, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec + 50000000u);
	while (!atomic_load(&fake_let_go))
		poll(NULL, 0, 1);
	finish(r, REQ_ABORT);
}

static void
run_gated(struct req *r, bool head_first)
{
	if (head_first) {
		put_head(r, "Content-Length: 5\r\n");
		req_out_publish(r);
	}
	while (!atomic_load(&fake_gate))
		poll(NULL, 0, 1);
	if (!head_first)
		put_head(r, "Content-Length: 5\r\n");
	put_body(r, "hello", 5);
	finish(r, 0);
}

/* 16 times the block, which is handed back. */
static void
run_borrowed(struct req *r, unsigned flags)
{
	put_head(r, "Content-Length: 16777216\r\n");
	for (int i = 0; i < 16; i++)
		if (req_out_borrow(
			r, OUT_BODY, block, sizeof(block), &fake_counts.released) < 0)
			abort();
	finish(r, flags);
}

static bool
awaits(struct req *r)
{
	return is(r, "/await") || is(r, "/await-big") || is(r, "/await-cut");
}

static void
run_end(struct req *r)
{
	const struct req_counts *n = &r->counts;

	if (awaits(r) && !r->settled) {
		req_await_ack(r);
		return;
	}
	if (awaits(r)) {
		fake_counts.acked = r->acked;
		fake_counts.sent = n->out[OUT_HEAD] + n->out[OUT_BODY] + n->out_tls;
		atomic_fetch_add(&fake_counts.awaited, 1);
	}
	atomic_fetch_add(&fake_counts.done, 1);
	req_done(r);
}

static void
run_start(struct req *r)
{
	struct progress *p = calloc(1, sizeof(*p));

	req_taken(r, FAKE_THREAD);
	r->app = p;
	if (is(r, "/big")) {
		p->total = 8u << 20;
		put_head(r, "Content-Length: 8388608\r\n");
		run_big(r);
	} else if (is(r, "/echo")) {
		run_echo(r);
	} else if (is(r, "/stream")) {
		run_stream(r);
	} else if (is(r, "/gate") || is(r, "/late")) {
		run_gated(r, is(r, "/gate"));
	} else if (is(r, "/billed")) {
		p->account = "acme";
		run_stream(r);
	} else if (is(r, "/https") && !r->https) {
		finish(r, REQ_ABORT);
	} else if (is(r, "/never")) {
		while (!r->aborted) /* as stuck as application code can be */
			poll(NULL, 0, 1);
		atomic_fetch_add(&fake_counts.aborted, 1);
		finish(r, REQ_ABORT);
	} else if (is(r, "/soon")) {
		run_soon(r);
	} else if (is(r, "/cut") || is(r, "/await-cut")) {
		put_head(r, "Content-Length: 10\r\n");
		put_body(r, "12345", 5);
		finish(r, REQ_ABORT | (awaits(r) ? REQ_NEEDS_END : 0));
	} else if (is(r, "/borrow") || is(r, "/await-big")) {
		run_borrowed(r, awaits(r) ? REQ_NEEDS_END : 0);
	} else {
		put_head(r, "Content-Length: 5\r\n");
		put_body(r, "hello", 5);
		finish(r, is(r, "/hook") || awaits(r) ? REQ_NEEDS_END : 0);
	}
}

static void
run_job(struct job *j)
{
	struct req *r = j->r;

	switch (j->kind) {
	case JOB_START:
		run_start(r);
		break;
	case JOB_BODY:
		/* Only a reader that said it waits is woken, so r is there. */
		run_echo(r);
		break;
	case JOB_PULL:
		run_big(r);
		break;
	case JOB_END:
		run_end(r);
		break;
	}
}

static void *
run(void *arg)
{
	(void)arg;
	for (;;) {
		struct job *j;

		pthread_mutex_lock(&lock);
		while (first == NULL && !stopping) {
			pthread_mutex_unlock(&lock);
			req_app_idle();
			pthread_mutex_lock(&lock);
			if (first == NULL && !stopping)
				pthread_cond_wait(&wake, &lock);
		}
		j = first;
		if (j != NULL && (first = j->next) == NULL)
			last = &first;
		pthread_mutex_unlock(&lock);
		if (j == NULL)
			return NULL;
		run_job(j);
		free(j);
	}
}

void
fake_app_start(void)
{
	memset(&fake_counts, 0, sizeof(fake_counts));
	stopping = false;
	fake_gate = 0;
	pthread_create(&thread, NULL, run, NULL);
}

void
fake_app_join(void)
{
	pthread_join(thread, NULL);
}
