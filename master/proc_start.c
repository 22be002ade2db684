/* How a worker process begins: executed, or forked by its generation's mold.
 * SPDX-License-Identifier: MIT */
#include "common/board.h"
#include "common/log.h"
#include "master/clock.h"
#include "master/fleet.h"
#include "master/mold.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#define FORK_MS 10000   /* a mold that forks nobody for so long hangs */
#define ADOPTED_MS 1000 /* of a state whose time ran out while the master was changed */

static void
timer_set(struct proc *p, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	if (ms > 0)
		evtimer_add(p->timer, &tv);
	else
		evtimer_del(p->timer);
}

static bool
has_mold(const struct generation *g)
{
	return g->mold != NULL && g->mold->state == MOLD_PROVEN;
}

/* Has its mold made another one lately? Many forks of a large process take their time. */
static bool
mold_moves(const struct proc *p)
{
	int64_t since_ms = clock_ms() - FORK_MS;

	for (const struct proc *q = p->fleet->procs; q != NULL; q = q->next)
		if (q->gen == p->gen && q->ready_ms > since_ms)
			return true;
	return false;
}

/* The mold was asked for this worker and has not answered. Without the mold, the worker's
 * channel ends, and the slot starts another that imports for itself. */
static void
unborn(struct proc *p)
{
	struct mold *m = has_mold(p->gen) ? p->gen->mold : NULL;
	static const char why[] = "the mold did not fork this worker\n";

	if (m == NULL || m->pid <= 0) {
		p->failure = STR(why);
		proc_event(p, LIFE_EV_TIMEOUT);
		return;
	}
	if (!mold_moves(p)) {
		log_error("master", "the mold hangs, it is killed",
		    "generation=%u pid=%d slot=%u waited=%ds", p->gen->number, (int)m->pid,
		    p->slot, FORK_MS / 1000);
		kill(m->pid, SIGKILL);
	}
	timer_set(p, FORK_MS);
}

void
proc_time_load(struct proc *p)
{
	timer_set(p, p->gen->heritage.conf.load_timeout);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct proc *p = arg;
	char text[128];

	(void)fd;
	(void)what;
	if (p->state == LIFE_EXITING && p->pid == 0) {
		fleet_proc_lost(p->fleet, p);
		return;
	}
	if (p->state == LIFE_BOOTING && p->pid == 0) {
		unborn(p);
		return;
	}
	if (p->state == LIFE_BOOTING) {
		int n = snprintf(text, sizeof(text),
		    "worker %u did not load the application within --load-timeout (%lld "
		    "s)\n",
		    p->slot, (long long)(p->gen->heritage.conf.load_timeout / 1000));

		p->failure = (struct str){text, (size_t)n};
	}
	proc_event(p, LIFE_EV_TIMEOUT);
}

static int
take_line(struct fleet *f, struct proc *p, struct err *e)
{
	_Static_assert(FLEET_LINES == BOARD_LINES, "a line for each process");
	for (unsigned i = 0; i < FLEET_LINES; i++)
		if (!f->lines[i]) {
			p->line = i;
			f->lines[i] = true;
			board_reset(f->board, i);
			return 0;
		}
	return err_set(e, "more than %d worker processes", FLEET_LINES);
}

static int
open_trace(struct proc *p, struct err *e)
{
	p->trace_fd = memfd_create("shoal-trace", MFD_CLOEXEC);
	if (p->trace_fd < 0 || fcntl(p->trace_fd, F_SETFL, O_APPEND) < 0)
		return err_errno(e, "memfd");
	return 0;
}

static int
open_accounts(struct proc *p, struct err *e)
{
	const unsigned id[] = {p->slot, p->epoch, p->gen->number};

	return accounts_create(p->fleet->accounts, &p->accounts,
	    (unsigned)p->gen->heritage.conf.accounts_max, id, &p->accounts_fd, e);
}

static struct proc *
create(struct fleet *f, struct generation *g, unsigned slot, unsigned epoch, struct err *e)
{
	struct proc *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		err_set(e, "out of memory");
		return NULL;
	}
	*p = (struct proc){.fleet = f,
	    .slot = slot,
	    .epoch = epoch,
	    .channel = -1,
	    .seg_fd = -1,
	    .trace_fd = -1,
	    .accounts_fd = -1,
	    .drain_old_ms = -1,
	    .born_ms = clock_ms(),
	    .born_at = clock_unix_s()};
	p->since_ms = p->born_ms;
	if (take_line(f, p, e) < 0) {
		free(p);
		return NULL;
	}
	p->gen = generation_ref(g);
	p->next = f->procs;
	f->procs = p;
	p->timer = evtimer_new(f->base, on_timer, p);
	p->seg = seg_create(slot, g->number, epoch, &p->seg_fd, e);
	if (p->seg != NULL && p->timer != NULL && open_trace(p, e) == 0 &&
	    open_accounts(p, e) == 0)
		return p;
	if (p->timer == NULL)
		err_set(e, "out of memory");
	proc_destroy(p);
	return NULL;
}

static int
execute(struct proc *p, int theirs, struct err *e)
{
	struct fleet *f = p->fleet;
	struct heritage *h = &p->gen->heritage;
	char title[256];
	AUTO_FD int conf_fd = -1;
	pid_t pid;

	h->role = ROLE_WORKER;
	h->slot = p->slot;
	h->epoch = p->epoch;
	h->line = p->line;
	h->parked = p->parked;
	h->workers = f->wanted;
	conf_fd = heritage_write(h, e);
	if (conf_fd < 0)
		return -1;
	snprintf(title, sizeof(title), "shoal: worker %u [%.200s]", p->slot,
	    conf_instance_name(&h->conf));
	f->spawn.title = title;
	f->spawn.env = p->gen->env;
	pid = spawn_worker(&f->spawn,
	    &(struct spawn_fds){
		theirs, conf_fd, p->seg_fd, p->trace_fd, p->accounts_fd, p->gen->said_fd},
	    e);
	if (pid < 0)
		return -1;
	p->pid = pid;
	return 0;
}

struct proc *
proc_start(struct fleet *f, struct generation *g, unsigned slot, unsigned epoch,
    bool parked, struct err *e)
{
	struct proc *p = create(f, g, slot, epoch, e);
	int pair[2];

	if (p == NULL)
		return NULL;
	p->parked = parked;
	if (msg_pair(pair, e) < 0) {
		proc_destroy(p);
		return NULL;
	}
	AUTO_FD int theirs = pair[1];
	proc_channel_open(p, pair[0]);
	if ((has_mold(g) ? mold_fork(g->mold, p, theirs, e) : execute(p, theirs, e)) < 0) {
		proc_destroy(p);
		return NULL;
	}
	if (p->pid > 0)
		proc_time_load(p);
	else
		timer_set(p, FORK_MS);
	log_debug("master", "worker started", "slot=%u pid=%d generation=%u", slot,
	    (int)p->pid, g->number);
	return p;
}

/* What is left of the time its state is limited to. */
static int64_t
time_left(const struct proc *p)
{
	if (p->state == LIFE_BOOTING)
		return p->pid > 0 ? p->gen->heritage.conf.load_timeout : FORK_MS;
	if (p->state == LIFE_DRAINING)
		return MAX(p->since_ms + (int64_t)p->graceful_ms - clock_ms(), 0) +
		       ADOPTED_MS;
	return p->state == LIFE_EXITING ? ADOPTED_MS : 0;
}

struct proc *
proc_adopt(struct fleet *f, struct generation *g, const struct proc *from, struct err *e)
{
	struct proc *p = malloc(sizeof(*p));

	if (p == NULL) {
		err_set(e, "out of memory");
		return NULL;
	}
	*p = *from;
	p->channel = -1;
	p->fleet = f;
	p->gen = generation_ref(g);
	f->lines[p->line] = true;
	p->next = f->procs;
	f->procs = p;
	p->timer = evtimer_new(f->base, on_timer, p);
	p->seg = seg_open(p->seg_fd, e);
	if (p->seg == NULL || p->timer == NULL ||
	    acct_open(&p->accounts.acct, p->accounts_fd, ACCT_WRITE, e) < 0) {
		proc_destroy(p);
		return NULL;
	}
	if (from->channel >= 0)
		proc_channel_open(p, from->channel);
	timer_set(p, time_left(p));
	return p;
}
