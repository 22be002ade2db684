/* The master's side of a mold: starts it, asks it for workers, ends it.
 * SPDX-License-Identifier: MIT */
#include "master/mold.h"

#include "common/conf_compat.h"
#include "common/log.h"
#include "master/clock.h"
#include "master/fleet.h"
#include "master/report.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#define END_MS 1000
#define MESSAGES_PER_TURN 16
#define UNSAFE "workers import the application themselves: forks would not be safe"

static void
timer_set(struct mold *m, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	evtimer_add(m->timer, &tv);
}

static void
channel_close(struct mold *m)
{
	if (m->on_readable != NULL)
		event_free(m->on_readable);
	m->on_readable = NULL;
	if (m->channel >= 0)
		close(m->channel);
	m->channel = -1;
}

static void
done(struct mold *m, enum mold_state state, struct str text)
{
	if (m->state != MOLD_LOADING)
		return;
	m->state = state;
	evtimer_del(m->timer);
	if (m->gen != NULL)
		fleet_mold_done(m->fleet, m, state != MOLD_FAILED, text);
}

static void
on_msg_molded(struct mold *m, const struct msg *msg)
{
	struct str why = {msg->payload, msg->n};
	const char *mode;

	if (m->state != MOLD_LOADING || m->gen == NULL)
		return;
	mode = m->gen->heritage.conf.preload;
	snprintf(m->unsafe, sizeof(m->unsafe), "%.*s", (int)why.n, why.p);
	if (why.n > 0 && strcmp(mode, "on") != 0) {
		log_info("master", UNSAFE, "generation=%u reason=\"%s\"", m->gen->number,
		    m->unsafe);
		done(m, MOLD_UNSAFE, why);
		mold_end(m);
		return;
	}
	if (why.n > 0)
		log_warn("master", "preloading although forks may not be safe",
		    "generation=%u reason=\"%s\"", m->gen->number, m->unsafe);
	log_debug("master", "application preloaded", "pid=%d generation=%u after=%lldms",
	    (int)m->pid, m->gen->number, (long long)(clock_ms() - m->born_ms));
	done(m, MOLD_PROVEN, why);
}

static void
on_msg_failed(struct mold *m, const struct msg *msg)
{
	m->refused = msg->type == MSG_REFUSED;
	done(m, MOLD_FAILED, (struct str){msg->payload, msg->n});
	mold_end(m);
}

static void
on_msg_forked(struct mold *m, const struct msg *msg)
{
	struct msg_forked forked;

	if (msg->n != sizeof(forked))
		return;
	memcpy(&forked, msg->payload, sizeof(forked));
	fleet_mold_forked(m->fleet, forked.slot, forked.epoch, (pid_t)forked.pid);
}

static void
on_msg_files(struct mold *m, const struct msg *msg)
{
	m->fleet->events.on_files(m->fleet->events.ctx, (struct str){msg->payload, msg->n});
}

static void (*const handlers[])(struct mold *m, const struct msg *msg) = {
    [MSG_MOLDED] = on_msg_molded,
    [MSG_FAILED] = on_msg_failed,
    [MSG_REFUSED] = on_msg_failed,
    [MSG_FORKED] = on_msg_forked,
    [MSG_FILES] = on_msg_files,
};

static void
handle(struct mold *m, const struct msg *msg)
{
	for (size_t i = 0; i < msg->n_fds; i++)
		close(msg->fds[i]);
	if ((size_t)msg->type < ARRAY_LEN(handlers) && handlers[msg->type] != NULL)
		handlers[msg->type](m, msg);
	else
		log_warn("master", "unexpected message from mold", "pid=%d type=%d",
		    (int)m->pid, (int)msg->type);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct mold *m = arg;
	struct msg *msg = &m->fleet->msg;

	(void)what;
	for (int i = 0; i < MESSAGES_PER_TURN && m->channel == fd; i++) {
		int rc = msg_recv(fd, msg);

		if (rc > 0) {
			handle(m, msg);
		} else if (rc < 0 && (errno == EAGAIN || errno == EINTR)) {
			return;
		} else if (rc == 0 || errno != EPROTO) {
			channel_close(m); /* its end, which SIGCHLD reports */
			if (m->pid > 0)
				timer_set(m, END_MS);
		}
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct mold *m = arg;
	char text[128];
	int n;

	(void)fd;
	(void)what;
	if (m->pid > 0)
		kill(m->pid, SIGKILL);
	if (m->state != MOLD_LOADING || m->gen == NULL)
		return;
	n = snprintf(text, sizeof(text),
	    "the application was not loaded within --load-timeout (%lld s)\n",
	    (long long)(m->gen->heritage.conf.load_timeout / 1000));
	done(m, MOLD_FAILED, (struct str){text, (size_t)n});
}

static void
unlink_and_free(struct mold *m)
{
	for (struct mold **at = &m->fleet->molds; *at != NULL; at = &(*at)->next)
		if (*at == m) {
			*at = m->next;
			break;
		}
	channel_close(m);
	if (m->timer != NULL)
		event_free(m->timer);
	free(m);
}

static int
execute(struct mold *m, int theirs, struct err *e)
{
	struct fleet *f = m->fleet;
	struct heritage *h = &m->gen->heritage;
	AUTO_FD int trace_fd = memfd_create("shoal-trace", MFD_CLOEXEC);
	AUTO_FD int conf_fd = -1;
	AUTO_FD int seg_fd = -1;
	struct seg *seg = seg_create(0, m->gen->number, 0, &seg_fd, e);
	char title[256];
	pid_t pid;

	/* Its workers get their own; it has them only so that both start alike. */
	seg_close(seg);
	h->role = ROLE_MOLD;
	h->slot = h->epoch = h->line = h->parked = 0;
	h->workers = f->wanted;
	conf_fd = heritage_write(h, e);
	if (seg == NULL || conf_fd < 0)
		return -1;
	if (trace_fd < 0)
		return err_errno(e, "memfd");
	snprintf(
	    title, sizeof(title), "shoal: mold [%.200s]", conf_instance_name(&h->conf));
	f->spawn.title = title;
	f->spawn.env = m->gen->env;
	pid = spawn_worker(&f->spawn,
	    &(struct spawn_fds){theirs, conf_fd, seg_fd, trace_fd, seg_fd, m->gen->said_fd},
	    e);
	if (pid < 0)
		return -1;
	m->pid = pid;
	return 0;
}

bool
mold_is_wanted(const struct generation *g)
{
	const struct conf *c = &g->heritage.conf;
	const char *green = conf_compat_green(c);

	if (strcmp(c->preload, "off") == 0)
		return false;
	if (green == NULL || strcmp(c->preload, "on") == 0 || c->warm_up.n > 0)
		return true;
	/* It would import the application only to say this. */
	log_info("master", UNSAFE,
	    "generation=%u reason=\"--worker-class %s: its hub belongs to the process that "
	    "made it\"",
	    g->number, green);
	return false;
}

/* In the fleet's list, without a process. */
static struct mold *
create(struct fleet *f, struct generation *g, struct err *e)
{
	struct mold *m = calloc(1, sizeof(*m));

	if (m == NULL) {
		err_set(e, "out of memory");
		return NULL;
	}
	*m = (struct mold){.fleet = f, .gen = g, .channel = -1, .born_ms = clock_ms()};
	m->next = f->molds;
	f->molds = m;
	m->timer = evtimer_new(f->base, on_timer, m);
	if (m->timer != NULL)
		return m;
	err_set(e, "out of memory");
	unlink_and_free(m);
	return NULL;
}

static int
listen_to(struct mold *m, int channel, struct err *e)
{
	m->channel = channel;
	m->on_readable =
	    event_new(m->fleet->base, channel, EV_READ | EV_PERSIST, on_readable, m);
	if (m->on_readable == NULL || event_add(m->on_readable, NULL) < 0)
		return err_set(e, "out of memory");
	return 0;
}

struct mold *
mold_start(struct fleet *f, struct generation *g, struct err *e)
{
	struct mold *m = create(f, g, e);
	int64_t limit = g->heritage.conf.load_timeout;
	int pair[2];

	if (m == NULL)
		return NULL;
	if (msg_pair(pair, e) < 0) {
		unlink_and_free(m);
		return NULL;
	}
	AUTO_FD int theirs = pair[1];
	if (listen_to(m, pair[0], e) < 0 || execute(m, theirs, e) < 0) {
		unlink_and_free(m);
		return NULL;
	}
	if (limit > 0)
		timer_set(m, limit);
	return m;
}

struct mold *
mold_adopt(struct fleet *f, struct generation *g, const struct mold *from, struct err *e)
{
	struct mold *m = create(f, g, e);

	if (m == NULL)
		return NULL;
	m->state = from->state;
	m->pid = from->pid;
	m->born_ms = from->born_ms;
	memcpy(m->unsafe, from->unsafe, sizeof(m->unsafe));
	if (from->channel >= 0 && listen_to(m, from->channel, e) < 0) {
		unlink_and_free(m);
		return NULL;
	}
	return m;
}

int
mold_fork(struct mold *m, const struct proc *p, int worker_end, struct err *e)
{
	const struct msg_fork order = {
	    p->slot, p->epoch, p->line, m->fleet->wanted, p->parked};
	const int fds[] = {worker_end, p->seg_fd, p->trace_fd, p->accounts_fd};

	if (m->channel < 0)
		return err_set(e, "the mold has ended");
	if (msg_send(m->channel, MSG_FORK, &order, sizeof(order), fds, ARRAY_LEN(fds)) < 0)
		return err_errno(e, "the mold cannot be asked");
	return 0;
}

void
mold_end(struct mold *m)
{
	if (m->pid <= 0 || m->ending)
		return;
	m->ending = true;
	/* While it loads, it reads nothing. */
	if (m->state == MOLD_LOADING || m->channel < 0 ||
	    msg_send(m->channel, MSG_QUIT, NULL, 0, NULL, 0) < 0)
		kill(m->pid, SIGTERM);
	timer_set(m, END_MS);
}

void
mold_destroy(struct mold *m)
{
	if (m == NULL)
		return;
	m->gen = NULL;
	if (m->pid > 0)
		mold_end(m);
	else
		unlink_and_free(m);
}

/* The last words of one that ended while it loaded. */
static void
read_last_words(struct mold *m)
{
	while (m->channel >= 0 && msg_recv(m->channel, &m->fleet->msg) > 0)
		handle(m, &m->fleet->msg);
	channel_close(m);
}

void
mold_reap(struct mold *m, int status)
{
	const pid_t pid = m->pid;
	char cause[64], text[128];

	read_last_words(m);
	evtimer_del(m->timer);
	m->pid = 0;
	report_cause(status, cause, sizeof(cause));
	if (m->gen == NULL) {
		unlink_and_free(m);
		return;
	}
	if (m->state == MOLD_LOADING) {
		int n = snprintf(text, sizeof(text),
		    "the process that loads the application ended: %s\n", cause);

		done(m, MOLD_FAILED, (struct str){text, (size_t)n});
		return;
	}
	if (m->state != MOLD_PROVEN)
		return;
	m->state = MOLD_GONE;
	if (!m->ending)
		log_error("master",
		    "mold died, new workers import the application themselves",
		    "generation=%u pid=%d %s", m->gen->number, (int)pid, cause);
}
