/* The soak: are the new workers worse than the old ones were? SPDX-License-Identifier: MIT
 */
#include "common/log.h"
#include "master/clock.h"
#include "master/master.h"
#include "master/reload_job.h"

#include <event2/event.h>
#include <stdio.h>

#define ENOUGH_REQUESTS 20 /* before a ratio says anything, except at the end */
/* While canaries soak, one answer of so many of the other workers closes its connection. A
 * client that never lets go of the connection it has would show the canary nothing. */
#define SHED_EVERY 16

/* A worker's segment may hold anything: more errors than requests are as many. */
static struct reload_tally
tally(const struct master *m, const struct generation *g, bool others)
{
	struct reload_tally t = {0};

	for (const struct proc *p = m->fleet.procs; p != NULL; p = p->next) {
		uint64_t requests, errors;

		if ((p->gen == g) == others)
			continue;
		requests = stat_get(p->seg, STAT_requests);
		errors = stat_get(p->seg, STAT_responses_5xx);
		t.requests += requests;
		t.errors += MIN(errors, requests);
	}
	return t;
}

/* One that cannot be told keeps its clients. */
static void
shed(struct reload *r, uint32_t every)
{
	for (struct proc *p = r->m->fleet.procs; p != NULL; p = p->next)
		if (p->gen != r->next)
			(void)!proc_tell(p, MSG_SHED, &every, sizeof(every));
	r->shedding = every > 0;
}

void
reload_soak_start(struct reload *r)
{
	shed(r, SHED_EVERY);
	r->soak_ends_ms = clock_ms() + r->params.soak_ms;
	r->old_before = tally(r->m, r->next, true);
	r->new_before = tally(r->m, r->next, false).requests;
}

static double
ratio(struct reload_tally t)
{
	return t.requests > 0 ? (double)t.errors / (double)t.requests : 0;
}

bool
reload_soak_bad(const struct reload *r, bool last, char *why, size_t max)
{
	struct reload_tally now = tally(r->m, r->next, false);
	double old_ratio = ratio(r->old_before), new_ratio = ratio(now);

	if (now.requests == 0 || (!last && now.requests < ENOUGH_REQUESTS))
		return false;
	if (new_ratio <= r->params.max_error_ratio || new_ratio <= old_ratio)
		return false;
	snprintf(why, max,
	    "%llu of %llu requests of the new workers failed (%.1f %%, the old ones: %.1f "
	    "%%, "
	    "allowed: %.1f %%)",
	    (unsigned long long)now.errors, (unsigned long long)now.requests,
	    100 * new_ratio, 100 * old_ratio, 100 * r->params.max_error_ratio);
	return true;
}

void
reload_soak_stop(struct reload *r)
{
	event_del(r->soak_timer);
	if (r->shedding)
		shed(r, 0);
}

void
reload_soak_end(struct reload *r)
{
	struct job *j = r->job;

	reload_soak_stop(r);
	r->soaked = true;
	if (tally(r->m, r->next, false).requests > r->new_before)
		return;
	snprintf(j->warning, sizeof(j->warning),
	    "no request reached the new workers during the soak: it has shown nothing");
	log_warn("master", j->warning, "job=%s generation=%u", j->id, r->next->number);
}
