/* The mold's loop and its forks. A worker is forked twice: its parent ends at once, so that
 * the master, which is the reaper of orphans, becomes its parent. CLONE_PARENT would save
 * the second fork and the handlers libraries registered with pthread_atfork().
 * SPDX-License-Identifier: MIT */
#include "worker/mold.h"

#include "common/log.h"
#include "common/msg.h"
#include "worker/logw.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define SECOND_MS 1000

/* The descriptors of a FORK, in their order. */
enum { FORK_CHANNEL, FORK_SEGMENT, FORK_TRACE, FORK_ACCOUNTS, FORK_FDS };

static struct msg msg; /* too large for a stack */
static pid_t master;

/* Pipes that live from before the fork until the worker is on its way. */
struct ropes {
	int told[2]; /* the one in the middle says whom it forked */
	int go[2];   /* the worker waits here until it is the master's child */
};

static void
ropes_close(struct ropes *r)
{
	for (int i = 0; i < 2; i++) {
		if (r->told[i] >= 0)
			close(r->told[i]);
		if (r->go[i] >= 0)
			close(r->go[i]);
	}
}

static int
ropes_open(struct ropes *r)
{
	*r = (struct ropes){{-1, -1}, {-1, -1}};
	if (pipe2(r->told, O_CLOEXEC) == 0 && pipe2(r->go, O_CLOEXEC) == 0)
		return 0;
	ropes_close(r);
	return -1;
}

/* Between the forks there is no Python and no return. */
static _Noreturn void
report_and_end(const struct ropes *r, pid_t forked, int error)
{
	int32_t pid = forked < 0 ? -error : forked;

	_exit(write(r->told[1], &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);
}

/* In the new process. End of file: the mold died before it could say go; the master will
 * never hear of this worker. */
static void
await_adoption(struct ropes *r)
{
	ssize_t got;
	char go;

	close(r->go[1]);
	r->go[1] = -1;
	do
		got = read(r->go[0], &go, 1);
	while (got < 0 && errno == EINTR);
	ropes_close(r);
	/* Only now: the signal is for the death of whoever is the parent at the time. And
	 * it may be the wrong one, when the master died meanwhile. */
	if (got != 1 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != master)
		_exit(0);
}

static int32_t
collect_pid(struct ropes *r, pid_t middle)
{
	int32_t pid;
	ssize_t got;

	close(r->told[1]);
	r->told[1] = -1;
	do
		got = read(r->told[0], &pid, sizeof(pid));
	while (got < 0 && errno == EINTR);
	if (got != sizeof(pid))
		pid = -ECHILD;
	/* The kernel hands its children on before it can be waited for. */
	while (waitpid(middle, NULL, 0) < 0 && errno == EINTR)
		;
	return pid;
}

static void
answer(const struct msg_fork *order, int32_t pid)
{
	const struct msg_forked forked = {order->slot, order->epoch, pid};

	if (msg_send(HERITAGE_CHANNEL_FD, MSG_FORKED, &forked, sizeof(forked), NULL, 0) < 0)
		log_debug("mold", "master is gone", NULL);
}

/* True in the worker. */
static bool
fork_worker(const struct mold_ops *ops, const struct msg_fork *order)
{
	struct ropes ropes;
	pid_t middle, worker;
	int32_t pid;
	int error;

	if (ropes_open(&ropes) < 0) {
		answer(order, -errno);
		return false;
	}
	fflush(NULL); /* what is buffered would be written by each worker again */
	ops->before_fork();
	middle = fork();
	error = errno;
	if (middle == 0) {
		worker = fork();
		if (worker != 0)
			report_and_end(&ropes, worker, errno);
		await_adoption(&ropes);
		ops->in_worker();
		return true;
	}
	pid = middle < 0 ? -error : collect_pid(&ropes, middle);
	ops->in_mold();
	/* The master learns the pid before the worker does anything. */
	answer(order, pid);
	if (pid > 0 && write(ropes.go[1], "", 1) < 0)
		log_warn("mold", "the new worker is gone", "pid=%d", (int)pid);
	ropes_close(&ropes);
	return false;
}

/* What is wrong with a FORK; order and what of w is the
 * worker's own are set when nothing is. */
static int
check_order(struct worker *w, struct msg_fork *order, struct err *e)
{
	int kind = 0;
	socklen_t n = sizeof(kind);

	*order = (struct msg_fork){0};
	if (msg.n != sizeof(*order))
		return err_set(e, "it has %zu bytes, not %zu", msg.n, sizeof(*order));
	memcpy(order, msg.payload, sizeof(*order));
	if (msg.n_fds != FORK_FDS)
		return err_set(e, "it has %zu descriptors, not %d", msg.n_fds, FORK_FDS);
	if (order->line >= BOARD_LINES || order->workers == 0 || order->parked > 1)
		return err_set(e, "its numbers make no sense");
	if (getsockopt(msg.fds[FORK_CHANNEL], SOL_SOCKET, SO_TYPE, &kind, &n) < 0 ||
	    kind != SOCK_SEQPACKET)
		return err_set(e, "its first descriptor is no channel");
	w->seg = seg_open(msg.fds[FORK_SEGMENT], e);
	if (w->seg == NULL)
		return -1;
	if (acct_open(&w->accounts, msg.fds[FORK_ACCOUNTS], ACCT_WRITE, e) == 0)
		return 0;
	seg_close(w->seg);
	w->seg = NULL;
	return -1;
}

static bool
on_fork(struct worker *w, const struct mold_ops *ops)
{
	struct msg_fork order;
	struct err e = {""};

	if (check_order(w, &order, &e) < 0) {
		log_error("mold", "an order to fork was refused", "reason=\"%s\"", e.text);
		answer(&order, -EINVAL);
		return false;
	}
	if (fork_worker(ops, &order)) {
		worker_become(w, &order, msg.fds[FORK_CHANNEL], msg.fds[FORK_TRACE]);
		return true;
	}
	seg_close(w->seg);
	w->seg = NULL;
	acct_close(&w->accounts);
	return false;
}

static bool
on_reopen(struct worker *w, const struct mold_ops *ops)
{
	(void)ops;
	if (msg.n_fds != 2) {
		log_error("mold", "log files were not handed over", "count=%zu", msg.n_fds);
		return false;
	}
	/* Into their places: that is where a worker looks for them. */
	if (dup3(msg.fds[0], HERITAGE_ACCESS_FD, O_CLOEXEC) < 0 ||
	    dup3(msg.fds[1], HERITAGE_ERROR_FD, O_CLOEXEC) < 0)
		log_error("mold", "the old log files stay in use", "error=\"%s\"",
		    strerror(errno));
	if (heritage_captures_output(&w->heritage.conf) &&
	    (dup2(msg.fds[1], STDOUT_FILENO) < 0 || dup2(msg.fds[1], STDERR_FILENO) < 0))
		log_error("mold", "the application's output stays in the old error log",
		    "error=\"%s\"", strerror(errno));
	/* A file may be followed by a pipe: it is looked at anew. */
	logw_init(HERITAGE_ACCESS_FD, HERITAGE_ERROR_FD);
	return false;
}

static bool
on_level(struct worker *w, const struct mold_ops *ops)
{
	uint32_t level = LOG_LVL_CRIT + 1;

	(void)w;
	(void)ops;
	if (msg.n == sizeof(level))
		memcpy(&level, msg.payload, sizeof(level));
	if (level <= LOG_LVL_CRIT)
		log_set_level((enum log_level)level);
	return false;
}

/* Without Python's end: what the application registered for its end is about things its
 * workers may still use. */
static bool
on_quit(struct worker *w, const struct mold_ops *ops)
{
	(void)w;
	(void)ops;
	_exit(0);
}

/* Each returns true in a new worker. */
static const struct {
	enum msg_type type;
	bool (*handle)(struct worker *w, const struct mold_ops *ops);
} handlers[] = {
    {MSG_FORK, on_fork},
    {MSG_REOPEN, on_reopen},
    {MSG_LEVEL, on_level},
    {MSG_QUIT, on_quit},
};

/* The descriptors of the message are closed in both processes. */
static bool
handle(struct worker *w, const struct mold_ops *ops)
{
	bool is_worker = false;

	for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
		if (handlers[i].type == msg.type) {
			is_worker = handlers[i].handle(w, ops);
			break;
		}
	for (size_t i = 0; i < msg.n_fds; i++)
		close(msg.fds[i]);
	return is_worker;
}

void
mold_serve(struct worker *w, const struct mold_ops *ops, struct str unsafe)
{
	struct pollfd p = {.fd = HERITAGE_CHANNEL_FD, .events = POLLIN};
	int rc;

	master = getppid();
	worker_hold_term();
	/* There is nothing else to do than what the master says and answering it. */
	if (fcntl(HERITAGE_CHANNEL_FD, F_SETFL, 0) < 0 ||
	    msg_send(HERITAGE_CHANNEL_FD, MSG_MOLDED, unsafe.p, unsafe.n, NULL, 0) < 0)
		_exit(0);
	for (;;) {
		rc = poll(&p, 1, ops->on_second != NULL ? SECOND_MS : -1);
		if (rc == 0)
			ops->on_second();
		if (rc <= 0)
			continue;
		rc = msg_recv(HERITAGE_CHANNEL_FD, &msg);
		if (rc == 0 || (rc < 0 && errno != EPROTO && errno != EAGAIN))
			_exit(0); /* the master is gone */
		if (rc > 0 && handle(w, ops))
			return;
	}
}
