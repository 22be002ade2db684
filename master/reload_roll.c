/* Slot after slot to another generation: the probe, the replacements, the drain of the old
 * ones, and the way back. SPDX-License-Identifier: MIT */
#include "common/log.h"
#include "master/master.h"
#include "master/mold.h"
#include "master/reload_job.h"

#include <event2/event.h>

static bool
has_mold(const struct generation *g)
{
	return g->mold != NULL && g->mold->state == MOLD_PROVEN;
}

/* Old workers wait parked while it is open whether they will be needed again, unless their
 * mold could make others at once. */
static bool
parks_old(const struct reload *r)
{
	return !has_mold(r->m->fleet.gen) || (r->params.soak_ms > 0 && !r->soaked);
}

static unsigned
limit(const struct reload *r)
{
	unsigned wanted = r->m->fleet.wanted;

	if (r->params.soak_ms == 0 || r->soaked || r->params.canaries == 0)
		return wanted;
	return MIN(r->params.canaries, wanted);
}

static struct proc *
start_one(struct reload *r, unsigned slot, bool parked, struct err *e)
{
	struct proc *p =
	    fleet_start_beside(&r->m->fleet, slot, r->next, PROC_RELOADED, parked, e);

	if (p != NULL) {
		p->park_old = parks_old(r);
		p->drain_old_ms = r->params.drain_timeout_ms;
	}
	return p;
}

void
reload_probe(struct reload *r)
{
	struct err e = {""};

	r->phase = RELOAD_PROBE;
	r->probe = start_one(r, 0, true, &e);
	if (r->probe == NULL)
		reload_fail(r, "probe", e.text, STR(""));
	else
		reload_arm(r, r->params.boot_timeout_ms);
}

struct count {
	unsigned booting, there, missing;
	unsigned first_missing;
};

static bool
is_next(const struct reload *r, const struct proc *p)
{
	return p != NULL && p->gen == r->next;
}

/* Where every slot is on its way to r->next. */
static struct count
count(const struct reload *r, unsigned n)
{
	struct count c = {0};

	for (unsigned i = 0; i < n; i++) {
		const struct slot *s = r->m->fleet.slots[i];

		if (s != NULL && is_next(r, s->coming) && s->coming->state == LIFE_BOOTING)
			c.booting++;
		else if (s != NULL && (is_next(r, s->serving) || is_next(r, s->coming)))
			c.there++;
		else if (c.missing++ == 0)
			c.first_missing = i;
	}
	return c;
}

static void
switch_all(struct reload *r, unsigned n)
{
	job_step(&r->m->jobs, r->job, JOB_SWITCHING, NULL);
	for (unsigned i = 0; i < n; i++) {
		struct slot *s = r->m->fleet.slots[i];

		if (s != NULL && is_next(r, s->coming))
			fleet_take_over(&r->m->fleet, s->coming);
	}
	r->switched = true;
}

static void
all_there(struct reload *r)
{
	if (r->params.bluegreen)
		switch_all(r, limit(r));
	if (r->params.soak_ms > 0 && !r->soaked) {
		const struct timeval second = {.tv_sec = 1};

		r->phase = RELOAD_SOAK;
		evtimer_del(r->timer);
		reload_soak_start(r);
		job_step(&r->m->jobs, r->job, JOB_SOAKING, NULL);
		event_add(r->soak_timer, &second);
		return;
	}
	reload_finish(r);
}

void
reload_roll(struct reload *r)
{
	unsigned n = limit(r);
	struct count c = count(r, n);
	struct err e = {""};

	r->phase = RELOAD_REPLACE;
	r->job->total = n;
	if (r->job->done != c.there || r->job->state < JOB_BOOTING) {
		r->job->done = c.there;
		job_step(&r->m->jobs, r->job, JOB_BOOTING, NULL);
	}
	while (c.missing > 0 && (c.booting < r->params.surge || r->params.bluegreen)) {
		if (start_one(r, c.first_missing, r->params.bluegreen, &e) == NULL) {
			reload_fail(r, "booting", e.text, STR(""));
			return;
		}
		c = count(r, n);
	}
	if (c.booting == 0 && c.missing == 0)
		all_there(r);
	else
		reload_arm(r, r->params.boot_timeout_ms);
}

/* A new number in the configuration counts; one set at run time stays as long as that one
 * does. */
static void
scale(struct fleet *f, const struct generation *old)
{
	unsigned now = (unsigned)f->gen->heritage.conf.workers;

	if (now != (unsigned)old->heritage.conf.workers && now != f->wanted)
		fleet_scale(f, now);
}

/* The new generation is the instance's from now on. */
void
reload_finish(struct reload *r)
{
	struct fleet *f = &r->m->fleet;
	struct generation *old = generation_ref(f->gen);
	int64_t graceful = r->params.drain_timeout_ms;

	r->phase = RELOAD_DRAIN;
	evtimer_del(r->timer);
	job_step(&r->m->jobs, r->job, JOB_DRAINING, NULL);
	fleet_set_generation(f, r->next);
	generation_unref(r->previous);
	r->previous = old;
	scale(f, old);
	if (graceful < 0)
		graceful = r->next->heritage.conf.graceful_timeout;
	for (struct proc *p = f->procs; p != NULL; p = p->next)
		if (p->gen != r->next)
			proc_drain(p, PROC_RELOADED, graceful, FLEET_IDLE_MS);
	reload_check_drained(r);
}

void
reload_check_drained(struct reload *r)
{
	for (const struct proc *p = r->m->fleet.procs; p != NULL; p = p->next)
		if (p->gen != r->next && p->state != LIFE_DEAD)
			return;
	reload_end(r, JOB_DONE, NULL, NULL, STR(""));
}

/* ---- The way back ---- */

static struct proc *
find_parked(struct fleet *f, unsigned slot, const struct generation *g)
{
	for (struct proc *p = f->procs; p != NULL; p = p->next)
		if (p->slot == slot && p->gen == g && p->state == LIFE_PARKED)
			return p;
	return NULL;
}

static void
back_one(struct reload *r, struct slot *s)
{
	struct fleet *f = &r->m->fleet;
	struct proc *p = find_parked(f, s->index, f->gen);
	struct err e = {""};

	if (is_next(r, s->coming))
		proc_end(TAKE_PTR(s->coming), PROC_ROLLED_BACK);
	if (p != NULL)
		fleet_take_back(f, p, PROC_ROLLED_BACK);
	else if (s->serving == NULL && !s->waiting && s->coming == NULL)
		slot_start_in(s, 0, SPAWN_RELOAD);
	else if (is_next(r, s->serving) && s->coming == NULL &&
		 fleet_start_beside(f, s->index, f->gen, PROC_ROLLED_BACK, false, &e) ==
		     NULL)
		log_error("master", "a worker of the old generation cannot be started",
		    "slot=%u reason=\"%s\"", s->index, e.text);
}

void
reload_back(struct reload *r)
{
	struct fleet *f = &r->m->fleet;

	r->phase = RELOAD_BACK;
	r->probe = NULL;
	reload_soak_stop(r);
	job_step(&r->m->jobs, r->job, JOB_ROLLING_BACK, NULL);
	for (unsigned i = 0; i < FLEET_MAX; i++)
		if (f->slots[i] != NULL && i < f->wanted)
			back_one(r, f->slots[i]);
	reload_arm(r, r->params.boot_timeout_ms);
	reload_roll_back(r);
}

/* Over when nothing of r->next is left to serve. */
void
reload_roll_back(struct reload *r)
{
	struct str text = str_of(r->fail_text);

	for (const struct proc *p = r->m->fleet.procs; p != NULL; p = p->next)
		if (p->gen == r->next && p->state != LIFE_DEAD)
			return;
	reload_end(r, JOB_ROLLED_BACK, r->fail_stage, r->fail_why, text);
}
