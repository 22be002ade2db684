/* One worker's place: starts its process, listens to it, stops it, says how it ended.
 * SPDX-License-Identifier: MIT */
#include "master/slot.h"

#include "common/board.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/seg.h"
#include "master/clock.h"
#include "master/report.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#define KILL_AFTER_MS 1000   /* between the order to end and SIGKILL */
#define MESSAGES_PER_TURN 16 /* then the other slots have their turn */

static void
timer_set(struct slot *s, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	evtimer_add(s->timer, &tv);
}

static void
channel_close(struct slot *s)
{
	if (s->on_readable != NULL)
		event_free(s->on_readable);
	s->on_readable = NULL;
	if (s->channel >= 0)
		close(s->channel);
	s->channel = -1;
}

static void
on_msg_ready(struct slot *s, const struct msg *m)
{
	(void)m;
	if (s->state != SLOT_LOADING)
		return;
	evtimer_del(s->timer);
	s->state = SLOT_READY;
	s->was_ready = true;
	log_info("master", "worker ready", "slot=%u pid=%d after=%lldms", s->index,
	    (int)s->pid, (long long)(clock_ms() - s->born_ms));
	fleet_slot_ready(s->fleet, s);
}

static void
on_msg_failed(struct slot *s, const struct msg *m)
{
	if (s->state != SLOT_LOADING)
		return;
	s->state = SLOT_ENDING;
	s->failed = true;
	timer_set(s, KILL_AFTER_MS);
	fleet_slot_failed(s->fleet, (struct str){m->payload, m->n}, m->type == MSG_REFUSED);
}

static void
on_msg_drained(struct slot *s, const struct msg *m)
{
	(void)m;
	log_debug("master", "worker drained", "slot=%u pid=%d", s->index, (int)s->pid);
}

/* What a worker may say; anything else is ignored: it runs other people's code. */
static void (*const handlers[])(struct slot *s, const struct msg *m) = {
    [MSG_READY] = on_msg_ready,
    [MSG_FAILED] = on_msg_failed,
    [MSG_REFUSED] = on_msg_failed,
    [MSG_DRAINED] = on_msg_drained,
};

static void
handle(struct slot *s, struct msg *m)
{
	for (size_t i = 0; i < m->n_fds; i++)
		close(m->fds[i]);
	if ((size_t)m->type < ARRAY_LEN(handlers) && handlers[m->type] != NULL)
		handlers[m->type](s, m);
	else
		log_warn("master", "unexpected message from worker",
		    "slot=%u pid=%d type=%d", s->index, (int)s->pid, (int)m->type);
}

/* The worker closed its end. Mostly its exit, which SIGCHLD reports; one that lives on can
 * neither be told to stop nor say anything, so it has to go. */
static void
on_channel_end(struct slot *s)
{
	channel_close(s);
	if (s->state == SLOT_LOADING || s->state == SLOT_READY) {
		s->state = SLOT_ENDING;
		timer_set(s, KILL_AFTER_MS);
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct slot *s = arg;

	(void)what;
	for (int i = 0; i < MESSAGES_PER_TURN && s->channel == fd; i++) {
		int rc = msg_recv(fd, &s->fleet->msg);

		if (rc > 0)
			handle(s, &s->fleet->msg);
		else if (rc < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		else if (rc < 0 && errno == EPROTO)
			log_warn("master", "malformed message from worker",
			    "slot=%u pid=%d", s->index, (int)s->pid);
		else
			on_channel_end(s);
	}
}

static int
try_start(struct slot *s, struct err *e)
{
	struct fleet *f = s->fleet;
	int pair[2], seg_fd = -1;
	char title[256];
	pid_t pid;

	f->heritage->slot = f->heritage->line = s->index;
	f->heritage->epoch = s->epoch;
	f->heritage->workers = f->wanted;
	board_reset(f->board, s->index);
	if (msg_pair(pair, e) < 0)
		return -1;
	AUTO_FD int ours = pair[0];
	AUTO_FD int theirs = pair[1];
	AUTO_FD int conf_fd = heritage_write(f->heritage, e);
	AUTO_FD int trace_fd = memfd_create("shoal-trace", MFD_CLOEXEC);

	if (conf_fd < 0)
		return -1;
	if (trace_fd < 0 || fcntl(trace_fd, F_SETFL, O_APPEND) < 0)
		return err_errno(e, "memfd");
	s->seg = seg_create(s->index, f->heritage->generation, s->epoch, &seg_fd, e);
	if (s->seg == NULL)
		return -1;
	snprintf(title, sizeof(title), "shoal: worker %u [%.200s]", s->index,
	    conf_instance_name(&f->heritage->conf));
	f->spawn.title = title;
	pid = spawn_worker(
	    &f->spawn, &(struct spawn_fds){theirs, conf_fd, seg_fd, trace_fd}, e);
	close(seg_fd);
	if (pid < 0)
		return -1;
	s->pid = pid;
	s->on_readable = event_new(f->base, ours, EV_READ | EV_PERSIST, on_readable, s);
	s->channel = TAKE_FD(ours);
	if (s->on_readable == NULL || event_add(s->on_readable, NULL) < 0)
		return err_set(e, "out of memory");
	return 0;
}

static void
start(struct slot *s)
{
	int64_t limit = s->fleet->heritage->conf.load_timeout;
	struct err e = {""};

	s->epoch++;
	s->born_ms = clock_ms();
	s->was_ready = s->failed = s->expected = false;
	s->state = SLOT_LOADING;
	if (try_start(s, &e) == 0) {
		if (limit > 0)
			timer_set(s, limit);
		log_debug(
		    "master", "worker started", "slot=%u pid=%d", s->index, (int)s->pid);
		return;
	}
	log_error("master", "worker cannot be started", "slot=%u reason=\"%s\"", s->index,
	    e.text);
	if (s->pid > 0) {
		/* It runs, but we cannot hear it: the reaper goes on from here. */
		kill(s->pid, SIGKILL);
		return;
	}
	seg_close(TAKE_PTR(s->seg));
	slot_start_in(s, backoff_next(&s->backoff, 0, false));
}

static void
on_load_timeout(struct slot *s)
{
	char text[128];
	int n = snprintf(text, sizeof(text),
	    "worker %u did not load the application within --load-timeout (%lld s)\n",
	    s->index, (long long)(s->fleet->heritage->conf.load_timeout / 1000));

	s->state = SLOT_ENDING;
	s->failed = true;
	kill(s->pid, SIGKILL);
	fleet_slot_failed(s->fleet, (struct str){text, (size_t)n}, false);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct slot *s = arg;

	(void)fd;
	(void)what;
	if (s->state == SLOT_WAITING) {
		start(s);
	} else if (s->state == SLOT_LOADING) {
		on_load_timeout(s);
	} else if (s->pid > 0) {
		log_warn("master", "worker killed, it did not end in time",
		    "slot=%u pid=%d", s->index, (int)s->pid);
		kill(s->pid, SIGKILL);
	}
}

struct slot *
slot_create(struct fleet *f, unsigned index)
{
	struct slot *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->fleet = f;
	s->index = index;
	s->channel = -1;
	s->timer = evtimer_new(f->base, on_timer, s);
	if (s->timer == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

void
slot_destroy(struct slot *s)
{
	if (s == NULL)
		return;
	if (s->pid > 0)
		kill(s->pid, SIGKILL);
	channel_close(s);
	event_free(s->timer);
	seg_close(s->seg);
	free(s);
}

void
slot_start_in(struct slot *s, int64_t ms)
{
	s->state = SLOT_WAITING;
	timer_set(s, ms);
}

void
slot_cancel(struct slot *s)
{
	evtimer_del(s->timer);
	s->state = SLOT_EMPTY;
}

/* A worker that cannot be told gets the signal that means the same. */
static void
tell(struct slot *s, enum msg_type type, const void *payload, size_t n)
{
	if (s->channel < 0 || msg_send(s->channel, type, payload, n, NULL, 0) < 0)
		kill(s->pid, SIGTERM);
}

void
slot_drain(struct slot *s, int64_t graceful_ms)
{
	uint32_t ms = (uint32_t)MIN(graceful_ms, UINT32_MAX);
	struct msg_drain order = {.graceful_ms = ms, .accept = 1};

	if (s->pid == 0) {
		slot_cancel(s);
	} else if (s->state == SLOT_LOADING) {
		slot_end(s); /* nothing in hand, and it does not listen yet */
	} else if (s->state == SLOT_READY) {
		s->state = SLOT_DRAINING;
		s->expected = true;
		tell(s, MSG_DRAIN, &order, sizeof(order));
		timer_set(s, (int64_t)ms + KILL_AFTER_MS);
	}
}

void
slot_end(struct slot *s)
{
	if (s->pid == 0) {
		slot_cancel(s);
		return;
	}
	if (s->state == SLOT_ENDING)
		return;
	tell(s, MSG_QUIT, NULL, 0);
	if (s->state == SLOT_LOADING)
		kill(s->pid, SIGTERM);
	s->state = SLOT_ENDING;
	s->expected = true;
	timer_set(s, KILL_AFTER_MS);
}

/* What the worker still said before it went. */
static void
read_last_words(struct slot *s)
{
	while (s->channel >= 0 && msg_recv(s->channel, &s->fleet->msg) > 0)
		handle(s, &s->fleet->msg);
	channel_close(s);
}

int64_t
slot_reap(struct slot *s, int status)
{
	struct report r = {.slot = s->index,
	    .pid = s->pid,
	    .status = status,
	    .life_ms = clock_ms() - s->born_ms};
	bool mute;

	read_last_words(s);
	evtimer_del(s->timer);
	mute = !s->was_ready && !s->failed && !s->expected;
	/* A drain that ends any other way than with 0 has lost requests. */
	r.expected = s->failed || (s->expected && (s->state == SLOT_ENDING || status == 0));
	s->pid = 0;
	s->state = SLOT_EMPTY;
	report_exit(&r, s->seg);
	board_reset(s->fleet->board, s->index);
	seg_close(TAKE_PTR(s->seg));
	if (mute) {
		char text[160], cause[64];

		report_cause(status, cause, sizeof(cause));
		fleet_slot_failed(s->fleet,
		    (struct str){
			text, (size_t)snprintf(text, sizeof(text),
				  "worker %u ended while it loaded the application: %s\n",
				  s->index, cause)},
		    false);
	}
	return s->expected ? 0 : backoff_next(&s->backoff, r.life_ms, s->was_ready);
}
