/* What worker processes say to the master. SPDX-License-Identifier: MIT */
#include "common/log.h"
#include "common/msg.h"
#include "master/clock.h"
#include "master/fleet.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/wait.h>

#define MESSAGES_PER_TURN 16 /* then the others have their turn */

/* A worker forked by the mold may be ready before the mold has said who it is. Its own word
 * counts only if that process is our child. */
static void
learn_pid(struct proc *p)
{
	pid_t pid = atomic_load(&p->seg->pid);
	siginfo_t info;

	if (p->pid == 0 && pid > 1 &&
	    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		proc_set_pid(p, pid);
}

static void
on_msg_ready(struct proc *p, const struct msg *m)
{
	(void)m;
	if (p->state != LIFE_BOOTING)
		return;
	learn_pid(p);
	proc_event(p, p->parked ? LIFE_EV_READY_PARKED : LIFE_EV_READY);
}

static void
on_msg_failed(struct proc *p, const struct msg *m)
{
	if (p->state != LIFE_BOOTING)
		return;
	p->failure = (struct str){m->payload, m->n};
	p->refused = m->type == MSG_REFUSED;
	proc_event(p, LIFE_EV_FAILED);
}

static void
on_msg_drained(struct proc *p, const struct msg *m)
{
	(void)m;
	log_debug("master", "worker drained", "slot=%u pid=%d", p->slot, (int)p->pid);
}

static void
on_msg_overdue(struct proc *p, const struct msg *m)
{
	p->fleet->events.on_overdue(
	    p->fleet->events.ctx, p, false, (struct str){m->payload, m->n});
}

static void
on_msg_stuck(struct proc *p, const struct msg *m)
{
	p->fleet->events.on_overdue(
	    p->fleet->events.ctx, p, true, (struct str){m->payload, m->n});
	proc_event(p, LIFE_EV_STUCK);
}

static void
on_msg_checked(struct proc *p, const struct msg *m)
{
	struct msg_checked checked;

	if (m->n < sizeof(checked))
		return;
	memcpy(&checked, m->payload, sizeof(checked));
	p->fleet->events.on_checked(p->fleet->events.ctx, p, checked.status,
	    (struct str){m->payload + sizeof(checked), m->n - sizeof(checked)});
}

static void
on_msg_files(struct proc *p, const struct msg *m)
{
	p->fleet->events.on_files(p->fleet->events.ctx, (struct str){m->payload, m->n});
}

/* What a worker may say; anything else is ignored: it runs other people's code. */
static void (*const handlers[])(struct proc *p, const struct msg *m) = {
    [MSG_READY] = on_msg_ready,
    [MSG_FAILED] = on_msg_failed,
    [MSG_REFUSED] = on_msg_failed,
    [MSG_DRAINED] = on_msg_drained,
    [MSG_OVERDUE] = on_msg_overdue,
    [MSG_STUCK] = on_msg_stuck,
    [MSG_CHECKED] = on_msg_checked,
    [MSG_FILES] = on_msg_files,
};

static void
handle(struct proc *p, struct msg *m)
{
	for (size_t i = 0; i < m->n_fds; i++)
		close(m->fds[i]);
	if ((size_t)m->type < ARRAY_LEN(handlers) && handlers[m->type] != NULL)
		handlers[m->type](p, m);
	else
		log_warn("master", "unexpected message from worker",
		    "slot=%u pid=%d type=%d", p->slot, (int)p->pid, (int)m->type);
}

/* The worker closed its end. Mostly its exit, which SIGCHLD reports; one that lives on can
 * neither be told to stop nor say anything, so it has to go. */
static void
on_channel_end(struct proc *p)
{
	learn_pid(p);
	proc_channel_close(p);
	proc_event(p, LIFE_EV_CHANNEL_LOST);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct proc *p = arg;

	(void)what;
	for (int i = 0; i < MESSAGES_PER_TURN && p->channel == fd; i++) {
		int rc = msg_recv(fd, &p->fleet->msg);

		if (rc > 0)
			handle(p, &p->fleet->msg);
		else if (rc < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		else if (rc < 0 && errno == EPROTO)
			log_warn("master", "malformed message from worker",
			    "slot=%u pid=%d", p->slot, (int)p->pid);
		else
			on_channel_end(p);
	}
}

void
proc_channel_open(struct proc *p, int fd)
{
	p->channel = fd;
	p->on_readable =
	    event_new(p->fleet->base, fd, EV_READ | EV_PERSIST, on_readable, p);
	/* Without memory it cannot be heard, its load time ends it. */
	if (p->on_readable == NULL || event_add(p->on_readable, NULL) < 0)
		log_error(
		    "master", "worker cannot be heard: out of memory", "slot=%u", p->slot);
}

void
proc_channel_close(struct proc *p)
{
	if (p->on_readable != NULL)
		event_free(p->on_readable);
	p->on_readable = NULL;
	if (p->channel >= 0)
		close(p->channel);
	p->channel = -1;
}

void
proc_channel_drain(struct proc *p)
{
	while (p->channel >= 0 && msg_recv(p->channel, &p->fleet->msg) > 0)
		handle(p, &p->fleet->msg);
}
