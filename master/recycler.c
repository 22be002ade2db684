/* Draws limits, finds who is due, starts the replacement. SPDX-License-Identifier: MIT */
#include "master/recycler.h"

#include "common/log.h"
#include "master/fleet.h"
#include "master/recycle.h"

#include <sys/random.h>

/* A limit below what the application needs at rest must not keep a core busy. */
#define MEMORY_SETTLES_MS 5000

static void
draw(struct proc *p)
{
	uint64_t random[2] = {0, 0};

	/* Short only before the kernel has any; then all have the same limits. */
	(void)!getrandom(random, sizeof(random), GRND_NONBLOCK);
	recycle_draw(&p->minded.limits, &p->gen->heritage.conf, random[0], random[1]);
	p->minded.drawn = true;
}

bool
recycler_is_free(struct recycler *r, struct fleet *f, int64_t now_ms)
{
	const struct slot *s = r->epoch > 0 ? f->slots[r->slot] : NULL;

	if (s != NULL && s->coming != NULL && s->coming->epoch == r->epoch)
		return false;
	if (s != NULL && (s->serving == NULL || s->serving->epoch < r->epoch)) {
		/* It did not come up, and the old one goes on. */
		r->not_before_ms = now_ms + backoff_next(&r->backoff, 0, false);
	} else if (s != NULL) {
		r->backoff.failures = 0;
	}
	r->epoch = 0;
	return now_ms >= r->not_before_ms;
}

unsigned
recycler_look(struct recycler *r, struct fleet *f, struct proc *p, int64_t now_ms)
{
	struct slot *s = f->slots[p->slot];
	int64_t age_ms = now_ms - p->ready_ms;
	int64_t rss_bytes = age_ms >= MEMORY_SETTLES_MS ? p->minded.rss_bytes : 0;
	enum proc_reason why;
	struct proc *next;
	struct err e = {""};

	if (!p->minded.drawn)
		draw(p);
	if (p->pid <= 0 || s->serving != p || s->coming != NULL || p->slot >= f->wanted ||
	    (p->state != LIFE_READY && p->state != LIFE_IDLE && p->state != LIFE_BUSY))
		return PROC_REASONS;
	why = recycle_due(
	    &p->minded.limits, stat_get(p->seg, STAT_requests), age_ms, rss_bytes);
	if (why == PROC_REASONS)
		return PROC_REASONS;
	next = fleet_start_beside(f, p->slot, f->gen, why, false, &e);
	if (next == NULL) {
		r->not_before_ms = now_ms + backoff_next(&r->backoff, 0, false);
		log_error("master", "a worker cannot be recycled",
		    "slot=%u pid=%d reason=\"%s\"", p->slot, (int)p->pid, e.text);
		return PROC_REASONS;
	}
	log_info("master", "worker is recycled",
	    "slot=%u pid=%d why=%s requests=%llu rss=%lld", p->slot, (int)p->pid,
	    proc_reason_name(why), (unsigned long long)stat_get(p->seg, STAT_requests),
	    (long long)p->minded.rss_bytes);
	r->slot = p->slot;
	r->epoch = next->epoch;
	return why;
}
