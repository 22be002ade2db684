/* The workers: as many as wanted; one that dies is replaced, one that is to go is replaced
 * first, the others never suffer for it. SPDX-License-Identifier: MIT */
#include "master/fleet.h"

#include "common/board.h"
#include "common/log.h"
#include "master/clock.h"
#include "master/mold.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

static struct slot *
get_slot(struct fleet *f, unsigned i)
{
	if (f->slots[i] == NULL)
		f->slots[i] = slot_create(f, i);
	return f->slots[i];
}

int
fleet_start(struct fleet *f, unsigned n, struct err *e)
{
	f->wanted = n;
	f->board = board_create(&f->spawn.board_fd, e);
	if (f->board == NULL)
		return -1;
	if (mold_is_wanted(f->gen)) {
		f->gen->mold = mold_start(f, f->gen, e);
		if (f->gen->mold == NULL)
			return -1;
	}
	for (unsigned i = 0; i < n; i++) {
		struct slot *s = get_slot(f, i);

		if (s == NULL)
			return err_set(e, "out of memory");
		slot_start_in(s, 0, SPAWN_START);
	}
	/* Children that were there before us, and whose SIGCHLD is long past. */
	fleet_reap(f);
	return 0;
}

int
fleet_adopt_slot(struct fleet *f, const struct slot *from, struct err *e)
{
	struct slot *s = get_slot(f, from->index);

	if (s == NULL)
		return err_set(e, "out of memory");
	s->epoch = from->epoch;
	s->restarts = from->restarts;
	s->last_reason = from->last_reason;
	s->last_at = from->last_at;
	s->backoff = from->backoff;
	s->base = from->base;
	s->why = from->why;
	memcpy(s->last_cause, from->last_cause, sizeof(s->last_cause));
	return 0;
}

void
fleet_resume(struct fleet *f)
{
	f->ever_ready = true;
	for (unsigned i = 0; i < f->wanted; i++) {
		struct slot *s = get_slot(f, i);

		if (s != NULL && s->serving == NULL && s->coming == NULL)
			slot_start_in(s, 0, s->why);
	}
	fleet_reap(f); /* whoever died while the master was changed */
}

void
fleet_finish(struct fleet *f)
{
	for (struct proc *p; (p = f->procs) != NULL; proc_destroy(p))
		if (p->pid > 0)
			kill(p->pid, SIGKILL);
	for (unsigned i = 0; i < FLEET_MAX; i++) {
		slot_destroy(f->slots[i]);
		f->slots[i] = NULL;
	}
	for (struct mold *m = f->molds; m != NULL; m = m->next) {
		if (m->pid > 0)
			kill(m->pid, SIGKILL);
		m->pid = 0;
	}
	generation_unref(TAKE_PTR(f->gen));
	if (f->board != NULL)
		close(f->spawn.board_fd);
	board_close(TAKE_PTR(f->board));
}

unsigned
fleet_count_ready(const struct fleet *f)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FLEET_MAX; i++)
		n += f->slots[i] != NULL && f->slots[i]->serving != NULL &&
		     life_accepts(f->slots[i]->serving->state);
	return n;
}

unsigned
fleet_count(const struct fleet *f, enum life_state state)
{
	unsigned n = 0;

	for (const struct proc *p = f->procs; p != NULL; p = p->next)
		n += p->state == state;
	return n;
}

static void
check_gone(struct fleet *f)
{
	if (!f->stopping || f->procs != NULL)
		return;
	for (struct mold *m = f->molds; m != NULL; m = m->next)
		if (m->pid > 0)
			return;
	f->events.on_all_gone(f->events.ctx);
}

/* ---- What processes and molds report ---- */

void
fleet_proc_ready(struct fleet *f, struct proc *p)
{
	struct slot *s = f->slots[p->slot];

	log_info("master", "worker ready", "slot=%u pid=%d generation=%u after=%lldms",
	    p->slot, (int)p->pid, p->gen->number, (long long)proc_age_ms(p));
	f->ever_ready = true;
	if (p->gen->loaded_at == 0)
		p->gen->loaded_at = clock_unix_s();
	if (s->coming == p && !p->parked)
		fleet_take_over(f, p);
	f->events.on_ready(f->events.ctx, p);
}

void
fleet_proc_failed(struct fleet *f, struct proc *p)
{
	if (!f->stopping)
		f->events.on_failed(f->events.ctx, p);
}

void
fleet_proc_stuck(struct fleet *f, struct proc *p)
{
	struct slot *s = f->slots[p->slot];
	struct err e = {""};

	if (f->stopping || s->serving != p || s->coming != NULL)
		return;
	if (fleet_start_beside(f, p->slot, f->gen, PROC_WAS_STUCK, false, &e) == NULL)
		log_error("master", "a stuck worker cannot be replaced",
		    "slot=%u reason=\"%s\"", p->slot, e.text);
}

void
fleet_proc_gone(struct fleet *f, struct proc *p, const char *cause, int64_t life_ms)
{
	struct slot *s = f->slots[p->slot];
	int64_t wait;

	snprintf(s->last_cause, sizeof(s->last_cause), "%s", cause);
	s->last_reason = p->reason;
	s->last_at = clock_unix_s();
	if (s->coming == p || s->serving == p)
		s->why = tally_reason(p->reason);
	if (s->coming == p)
		s->coming = NULL;
	else if (s->serving == p)
		s->serving = NULL;
	else
		life_ms =
		    BACKOFF_HEALTHY_MS; /* replaced before: says nothing of the slot */
	s->restarts += !p->expected;
	wait = p->expected ? 0 : backoff_next(&s->backoff, life_ms, p->was_ready);
	f->events.on_gone(f->events.ctx, p, cause);
	if (!f->stopping && s->index < f->wanted && s->serving == NULL &&
	    s->coming == NULL && !s->waiting)
		slot_start_in(s, wait, tally_reason(p->reason));
}

void
fleet_mold_done(struct fleet *f, struct mold *m, bool loaded, struct str text)
{
	/* The reload it was for may end here, and with it the generation and the mold. */
	struct generation *g = generation_ref(m->gen);

	f->events.on_mold(f->events.ctx, m, loaded, text);
	for (unsigned i = 0; i < f->wanted && !f->stopping && g == f->gen; i++)
		if (f->slots[i]->waiting)
			slot_start_in(f->slots[i], 0, f->slots[i]->why);
	generation_unref(g);
}

static struct proc *
find_unborn(struct fleet *f, unsigned slot, unsigned epoch)
{
	for (struct proc *p = f->procs; p != NULL; p = p->next)
		if (p->slot == slot && p->epoch == epoch)
			return p;
	return NULL;
}

void
fleet_mold_forked(struct fleet *f, unsigned slot, unsigned epoch, pid_t pid)
{
	struct proc *p = find_unborn(f, slot, epoch);

	if (p == NULL)
		return;
	if (pid <= 0) {
		log_error("master", "the mold cannot fork", "slot=%u error=\"%s\"", slot,
		    strerror(-pid));
		proc_reap(p, 0);
		return;
	}
	proc_set_pid(p, pid);
	for (unsigned i = 0; i < FLEET_ORPHANS; i++)
		if (f->orphans[i].pid == pid) {
			f->orphans[i].pid = 0;
			proc_reap(p, f->orphans[i].status);
			check_gone(f);
			return;
		}
}

/* ---- Orders ---- */

struct proc *
fleet_start_beside(struct fleet *f, unsigned slot, struct generation *g,
    enum proc_reason why, bool parked, struct err *e)
{
	struct slot *s = get_slot(f, slot);
	struct proc *p;

	if (s == NULL) {
		err_set(e, "out of memory");
		return NULL;
	}
	if (s->coming != NULL)
		proc_end(TAKE_PTR(s->coming), why);
	slot_cancel(s);
	p = proc_start(f, g, slot, ++s->epoch, parked, e);
	if (p == NULL) {
		if (s->serving == NULL)
			slot_start_in(s, BACKOFF_FIRST_MS, tally_reason(why));
		return NULL;
	}
	f->tally.spawns[tally_reason(why)]++;
	p->why_old = why;
	s->coming = p;
	return p;
}

static void
retire(struct fleet *f, struct proc *p, enum proc_reason why, int64_t graceful_ms)
{
	if (graceful_ms < 0)
		graceful_ms = f->gen->heritage.conf.graceful_timeout;
	proc_drain(p, why, graceful_ms, FLEET_IDLE_MS);
}

static void
replace(struct fleet *f, struct proc *old, const struct proc *new)
{
	if (new->park_old)
		proc_park(old, true);
	else
		retire(f, old, new->why_old, new->drain_old_ms);
}

void
fleet_take_over(struct fleet *f, struct proc *p)
{
	struct slot *s = f->slots[p->slot];
	struct proc *old = s->serving;

	if (s->coming == p)
		s->coming = NULL;
	s->serving = p;
	if (p->state == LIFE_PARKED)
		proc_resume(p);
	if (old != NULL && old != p)
		replace(f, old, p);
	if (p->slot >= f->wanted) /* scaled away while it was coming */
		retire(f, p, PROC_SCALED_DOWN, -1);
}

void
fleet_take_back(struct fleet *f, struct proc *p, enum proc_reason why)
{
	p->why_old = why;
	p->park_old = false;
	fleet_take_over(f, p);
}

void
fleet_set_generation(struct fleet *f, struct generation *g)
{
	struct generation *old = f->gen;

	f->gen = generation_ref(g);
	generation_unref(old);
}

static void
drop_slot(struct fleet *f, unsigned i)
{
	struct slot *s = f->slots[i];

	slot_cancel(s);
	if (s->coming != NULL)
		proc_end(s->coming, PROC_SCALED_DOWN);
	if (s->serving != NULL)
		retire(f, s->serving, PROC_SCALED_DOWN, -1);
}

void
fleet_scale(struct fleet *f, unsigned target)
{
	unsigned from = f->wanted;

	if (f->stopping || target == 0 || target > FLEET_MAX || target == from) {
		log_warn("master", "number of workers stays", "workers=%u", from);
		return;
	}
	f->wanted = target;
	log_info("master", "number of workers changed", "workers=%u", target);
	for (unsigned i = target; i < from; i++)
		drop_slot(f, i);
	for (unsigned i = from; i < target; i++) {
		struct slot *s = get_slot(f, i);

		if (s == NULL) {
			log_error("master", "out of memory", NULL);
			f->wanted = i;
			return;
		}
		if (s->serving == NULL && s->coming == NULL)
			slot_start_in(s, 0, SPAWN_SCALE);
		else if (s->serving != NULL && s->serving->state >= LIFE_DRAINING)
			s->serving = NULL, slot_start_in(s, 0, SPAWN_SCALE);
	}
}

static void
cancel_slots(struct fleet *f)
{
	f->stopping = true;
	for (unsigned i = 0; i < FLEET_MAX; i++)
		if (f->slots[i] != NULL)
			slot_cancel(f->slots[i]);
	for (struct mold *m = f->molds; m != NULL; m = m->next)
		mold_end(m);
}

void
fleet_stop(struct fleet *f, int64_t graceful_ms)
{
	cancel_slots(f);
	for (struct proc *p = f->procs; p != NULL; p = p->next) {
		p->accept_rest = true;
		proc_drain(p, PROC_STOPPED, graceful_ms, 0);
	}
	check_gone(f);
}

void
fleet_stop_now(struct fleet *f)
{
	cancel_slots(f);
	for (struct proc *p = f->procs; p != NULL; p = p->next)
		proc_end(p, PROC_STOPPED);
	check_gone(f);
}

/* ---- The dead ---- */

/* A worker the mold was asked for, and has not yet said which process it is. */
static bool
has_unborn(const struct fleet *f)
{
	for (const struct proc *p = f->procs; p != NULL; p = p->next)
		if (p->pid == 0)
			return true;
	return false;
}

void
fleet_proc_lost(struct fleet *f, struct proc *p)
{
	proc_reap(p, 0);
	check_gone(f);
}

static bool
reap_one(struct fleet *f, pid_t pid, int status)
{
	for (struct proc *p = f->procs; p != NULL; p = p->next)
		if (p->pid == pid) {
			proc_reap(p, status);
			return true;
		}
	for (struct mold *m = f->molds; m != NULL; m = m->next)
		if (m->pid == pid) {
			mold_reap(m, status);
			return true;
		}
	return f->events.on_stranger(f->events.ctx, pid, status);
}

/* Each is looked at before it is waited for: until then its files of /proc are there. */
static pid_t
collect(struct fleet *f, int *status)
{
	siginfo_t info = {.si_signo = 0};

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
		return 0;
	f->events.on_dying(f->events.ctx, info.si_pid);
	return waitpid(info.si_pid, status, WNOHANG);
}

void
fleet_reap(struct fleet *f)
{
	int status;
	pid_t pid;

	while ((pid = collect(f, &status)) > 0) {
		unsigned place = f->n_orphans % FLEET_ORPHANS;

		if (reap_one(f, pid, status))
			continue;
		log_debug("master", "stranger reaped", "pid=%d", (int)pid);
		if (!has_unborn(f))
			continue;
		f->orphans[place].pid = pid;
		f->orphans[place].status = status;
		f->n_orphans++;
	}
	check_gone(f);
}

static void
send_logs(const struct fleet *f, int channel, const char *who, pid_t pid)
{
	const int fds[2] = {f->spawn.logs->access_fd, f->spawn.logs->error_fd};

	if (channel >= 0 && msg_send(channel, MSG_REOPEN, NULL, 0, fds, 2) < 0)
		log_warn("master", "process cannot be told to reopen its logs",
		    "process=%s pid=%d", who, (int)pid);
}

void
fleet_reopen(struct fleet *f)
{
	for (struct proc *p = f->procs; p != NULL; p = p->next)
		send_logs(f, p->channel, "worker", p->pid);
	for (struct mold *m = f->molds; m != NULL; m = m->next)
		send_logs(f, m->channel, "mold", m->pid);
}
