/* The worker's end of the channel: drain, quit, new log files, and the master's death.
 * SPDX-License-Identifier: MIT */
#include "worker/channel.h"

#include "common/conf.h"
#include "common/heritage.h"
#include "common/log.h"
#include "common/msg.h"
#include "worker/logw.h"
#include "worker/net/drain.h"
#include "worker/net/net.h"
#include "worker/net/selfcheck.h"

#include <errno.h>
#include <stdatomic.h>

static struct event channel_ev, term_ev;
static volatile atomic_bool term_asked;
static struct msg msg; /* too large for a stack; the I/O thread's alone */

void
channel_term_asked(void)
{
	atomic_store(&term_asked, true);
}

/* Without an order of the master's: nobody accepts in our place. */
static void
drain_by_itself(struct net *net)
{
	const struct msg_drain order = {
	    .graceful_ms = (uint32_t)net->conf->graceful_timeout, .accept = 1};

	drain_start(net, &order);
}

/* Copies a payload that has exactly this size. */
static bool
payload_is(void *to, size_t n)
{
	if (msg.n != n) {
		log_error("worker", "message of the wrong size", "type=%d bytes=%zu",
		    (int)msg.type, msg.n);
		return false;
	}
	memcpy(to, msg.payload, n);
	return true;
}

static void
on_drain(struct net *net)
{
	struct msg_drain order;

	if (payload_is(&order, sizeof(order)))
		drain_start(net, &order);
	else
		drain_by_itself(net);
}

static void
on_park(struct net *net)
{
	uint32_t announce;

	if (!payload_is(&announce, sizeof(announce)))
		return;
	drain_park(net, announce != 0);
}

static void
on_shed(struct net *net)
{
	if (payload_is(&net->shed_every, sizeof(net->shed_every)))
		net->shed_seen = 0;
}

static void
on_checked(unsigned status, struct str text)
{
	struct {
		struct msg_checked checked;
		char text[256];
	} answer = {.checked.status = status};

	text.n = MIN(text.n, sizeof(answer.text));
	memcpy(answer.text, text.p, text.n);
	if (msg_send(HERITAGE_CHANNEL_FD, MSG_CHECKED, &answer,
		offsetof(typeof(answer), text) + text.n, NULL, 0) < 0)
		log_error("worker", "master did not hear of the check", "error=\"%s\"",
		    strerror(errno));
}

static void
on_check(struct net *net)
{
	selfcheck_start(net, (struct str){msg.payload, msg.n}, on_checked);
}

static void
on_level(struct net *net)
{
	uint32_t level;

	(void)net;
	if (payload_is(&level, sizeof(level)) && level <= LOG_LVL_CRIT)
		log_set_level((enum log_level)level);
}

static void
on_quit(struct net *net)
{
	(void)net;
	logw_stop(200);
	_exit(0);
}

static void
on_reopen(struct net *net)
{
	if (msg.n_fds != 2) {
		log_error(
		    "worker", "log files were not handed over", "count=%zu", msg.n_fds);
		return;
	}
	if (heritage_captures_output(net->conf) &&
	    (dup2(msg.fds[1], STDOUT_FILENO) < 0 || dup2(msg.fds[1], STDERR_FILENO) < 0))
		log_error("worker", "the application's output stays in the old error log",
		    "error=\"%s\"", strerror(errno));
	logw_reopen(msg.fds[0], msg.fds[1]);
	msg.n_fds = 0; /* the writer owns them now */
}

static const struct {
	enum msg_type type;
	void (*handle)(struct net *net);
} handlers[] = {
    {MSG_DRAIN, on_drain},
    {MSG_QUIT, on_quit},
    {MSG_PARK, on_park},
    {MSG_RESUME, drain_resume},
    {MSG_SHED, on_shed},
    {MSG_CHECK, on_check},
    {MSG_LEVEL, on_level},
    {MSG_REOPEN, on_reopen},
};

static void
handle(struct net *net)
{
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
		if (handlers[i].type == msg.type) {
			handlers[i].handle(net);
			break;
		}
	for (size_t i = 0; i < msg.n_fds; i++)
		close(msg.fds[i]);
}

static void
on_channel(evutil_socket_t fd, short what, void *arg)
{
	struct net *net = arg;
	int got;

	(void)what;
	while ((got = msg_recv(fd, &msg)) > 0)
		handle(net);
	if (got < 0 && errno == EAGAIN)
		return;
	/* The master is gone: nobody would restart us or hold the port for us. */
	event_del(&channel_ev);
	log_warn("worker", "master is gone, finishing", NULL);
	drain_by_itself(net);
}

/* TERM arrives in another thread; the flag is looked at a few times a second. */
static void
on_term_check(evutil_socket_t fd, short what, void *arg)
{
	struct net *net = arg;

	(void)fd;
	(void)what;
	if (atomic_exchange(&term_asked, false))
		drain_by_itself(net);
}

int
channel_open(struct net *net, struct err *e)
{
	const struct timeval often = {.tv_usec = NET_TICK_MS * 1000};

	event_assign(&channel_ev, net->base, HERITAGE_CHANNEL_FD, EV_READ | EV_PERSIST,
	    on_channel, net);
	event_assign(&term_ev, net->base, -1, EV_PERSIST, on_term_check, net);
	if (event_add(&channel_ev, NULL) < 0 || event_add(&term_ev, &often) < 0)
		return err_set(e, "channel: cannot be watched");
	return 0;
}

void
channel_close(void)
{
	event_del(&channel_ev);
	event_del(&term_ev);
}
