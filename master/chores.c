/* Scale, recycle, drain and stop as jobs. SPDX-License-Identifier: MIT */
#include "master/chores.h"

#include "common/board.h"
#include "common/log.h"
#include "master/clock.h"
#include "master/master.h"
#include "master/notify.h"

#include <event2/event.h>
#include <stdio.h>

#define LOOK_MS 200 /* how often a drain counts connections */

struct chores {
	struct master *m;                    /* borrowed */
	struct job *scale, *recycle, *drain; /* borrowed of m->jobs; NULL: none */
	unsigned slots[FLEET_MAX];           /* to recycle */
	size_t n_slots, cursor;
	int64_t recycle_drain_ms;
	struct proc *coming;       /* borrowed: the replacement under way */
	struct event *drain_timer; /* owned */
	int64_t drain_ends_ms;     /* monotonic; 0: never */
};

/* ---- Scale ---- */

static bool
scale_reached(const struct fleet *f)
{
	for (const struct proc *p = f->procs; p != NULL; p = p->next)
		if (p->slot >= f->wanted && p->state != LIFE_DEAD)
			return false;
	return fleet_count_ready(f) >= f->wanted;
}

static void
scale_look(struct chores *c)
{
	struct fleet *f = &c->m->fleet;

	if (c->scale == NULL)
		return;
	c->scale->done = fleet_count_ready(f);
	if (scale_reached(f))
		job_end(&c->m->jobs, TAKE_PTR(c->scale), JOB_DONE, NULL, NULL, STR(""));
	else
		job_step(&c->m->jobs, c->scale,
		    c->scale->done < f->wanted ? JOB_BOOTING : JOB_DRAINING, NULL);
}

struct job *
chores_scale(struct master *m, unsigned target, const char *token, const struct job_by *by,
    const char **busy)
{
	struct chores *c = m->chores;
	struct job *j;

	*busy = NULL;
	if (m->stopping)
		return NULL;
	j = job_start(&m->jobs, JOB_SCALE, by, token, busy);
	if (j == NULL || j == c->scale || job_is_final(j))
		return j;
	c->scale = j;
	j->total = target;
	j->result =
	    json_pack("{s:i, s:i}", "from", (int)m->fleet.wanted, "to", (int)target);
	if (target != m->fleet.wanted)
		fleet_scale(&m->fleet, target);
	scale_look(c);
	return j;
}

/* ---- Recycle ---- */

static void
recycle_end(struct chores *c, enum job_state state, const char *why, struct str text)
{
	c->coming = NULL;
	job_end(&c->m->jobs, TAKE_PTR(c->recycle), state,
	    state == JOB_FAILED ? "booting" : NULL, why, text);
}

static bool
old_ones_left(const struct fleet *f)
{
	for (const struct proc *p = f->procs; p != NULL; p = p->next)
		if (p->reason == PROC_RECYCLED && p->state != LIFE_DEAD)
			return true;
	return false;
}

static void
recycle_next(struct chores *c)
{
	struct fleet *f = &c->m->fleet;
	struct err e = {""};

	while (c->cursor < c->n_slots && c->slots[c->cursor] >= f->wanted)
		c->cursor++; /* scaled away meanwhile */
	if (c->cursor < c->n_slots) {
		job_step(&c->m->jobs, c->recycle, JOB_BOOTING, NULL);
		c->coming = fleet_start_beside(
		    f, c->slots[c->cursor], f->gen, PROC_RECYCLED, false, &e);
		if (c->coming == NULL)
			recycle_end(c, JOB_FAILED, e.text, STR(""));
		else
			c->coming->drain_old_ms = c->recycle_drain_ms;
		return;
	}
	job_step(&c->m->jobs, c->recycle, JOB_DRAINING, NULL);
	if (!old_ones_left(f))
		recycle_end(c, JOB_DONE, NULL, STR(""));
}

struct job *
chores_recycle(struct master *m, const unsigned *slots, size_t n, int64_t drain_ms,
    const char *token, const struct job_by *by, const char **busy)
{
	struct chores *c = m->chores;
	struct job *j;

	*busy = NULL;
	if (m->stopping)
		return NULL;
	j = job_start(&m->jobs, JOB_RECYCLE, by, token, busy);
	if (j == NULL || j == c->recycle || job_is_final(j))
		return j;
	c->recycle = j;
	c->n_slots = MIN(n, (size_t)FLEET_MAX);
	memcpy(c->slots, slots, c->n_slots * sizeof(slots[0]));
	c->cursor = 0;
	c->recycle_drain_ms = drain_ms;
	j->total = (unsigned)c->n_slots;
	recycle_next(c);
	return j;
}

/* ---- Drain of the instance ---- */

bool
chores_draining(const struct master *m)
{
	return atomic_load_explicit(&m->fleet.board->draining, memory_order_relaxed) != 0;
}

static uint64_t
connections(const struct fleet *f)
{
	uint64_t n = 0;

	for (const struct proc *p = f->procs; p != NULL; p = p->next)
		n += stat_get(p->seg, STAT_connections);
	return n;
}

static void
on_drain_look(evutil_socket_t fd, short what, void *arg)
{
	struct chores *c = arg;
	bool late = c->drain_ends_ms > 0 && clock_ms() >= c->drain_ends_ms;

	(void)fd;
	(void)what;
	if (!late && connections(&c->m->fleet) > 0)
		return;
	event_del(c->drain_timer);
	job_end(&c->m->jobs, TAKE_PTR(c->drain), JOB_DONE, NULL,
	    late ? "the time was up, connections are left" : NULL, STR(""));
}

struct job *
chores_drain(
    struct master *m, int64_t timeout_ms, const struct job_by *by, const char **busy)
{
	const struct timeval often = {.tv_usec = LOOK_MS * 1000};
	struct chores *c = m->chores;
	struct job *j;

	*busy = NULL;
	if (m->stopping)
		return NULL;
	j = job_start(&m->jobs, JOB_DRAIN, by, NULL, busy);
	if (j == NULL)
		return NULL;
	c->drain = j;
	c->drain_ends_ms = timeout_ms > 0 ? clock_ms() + timeout_ms : 0;
	log_info("master", "draining", "job=%s by=%s", j->id, by->comm);
	atomic_store(&m->fleet.board->draining, 1);
	events_emit(&m->events, "server.draining", json_pack("{s:s}", "job", j->id));
	job_step(&m->jobs, j, JOB_DRAINING, NULL);
	event_add(c->drain_timer, &often);
	return j;
}

int
chores_undrain(struct master *m)
{
	struct chores *c = m->chores;

	if (!chores_draining(m) || m->stopping)
		return -1;
	atomic_store(&m->fleet.board->draining, 0);
	event_del(c->drain_timer);
	if (c->drain != NULL)
		job_end(&m->jobs, TAKE_PTR(c->drain), JOB_CANCELLED, NULL,
		    "it was taken back", STR(""));
	log_info("master", "serving again", NULL);
	events_emit(&m->events, "server.undrained", NULL);
	return 0;
}

/* ---- Stop ---- */

struct job *
chores_stop(struct master *m, int64_t graceful_ms, const struct job_by *by)
{
	struct job *j = jobs_running(&m->jobs);
	const char *busy;

	/* Asked again, perhaps because the answer was lost: no reason for more haste. */
	if (m->stopping && graceful_ms > CHORES_FAST_MS && j != NULL && j->kind == JOB_STOP)
		return j;
	j = job_start(&m->jobs, JOB_STOP, by, NULL, &busy);
	if (j != NULL)
		job_step(&m->jobs, j, JOB_DRAINING, NULL);
	if (graceful_ms < 0)
		master_stop_now(m);
	else
		master_stop_within(m, graceful_ms);
	return j;
}

/* ---- What the fleet reports ---- */

void
chores_on_ready(struct master *m, struct proc *p)
{
	struct chores *c = m->chores;

	scale_look(c);
	if (c->recycle == NULL || c->coming != p)
		return;
	c->coming = NULL;
	c->cursor++;
	c->recycle->done++;
	recycle_next(c);
}

void
chores_on_failed(struct master *m, struct proc *p)
{
	struct chores *c = m->chores;

	if (c->recycle != NULL && c->coming == p)
		recycle_end(
		    c, JOB_FAILED, "the application could not be loaded", p->failure);
}

void
chores_on_gone(struct master *m, struct proc *p)
{
	struct chores *c = m->chores;

	scale_look(c);
	if (c->recycle == NULL)
		return;
	if (c->coming == p)
		recycle_end(c, JOB_FAILED, "the replacement died", STR(""));
	else if (c->cursor >= c->n_slots)
		recycle_next(c);
}

int
chores_open(struct master *m, struct err *e)
{
	struct chores *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return err_set(e, "out of memory");
	c->m = m;
	m->chores = c;
	c->drain_timer = event_new(m->base, -1, EV_PERSIST, on_drain_look, c);
	return c->drain_timer == NULL ? err_set(e, "out of memory") : 0;
}

void
chores_close(struct master *m)
{
	if (m->chores == NULL)
		return;
	if (m->chores->drain_timer != NULL)
		event_free(m->chores->drain_timer);
	free(TAKE_PTR(m->chores));
}
