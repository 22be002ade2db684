/* Slots: start the next worker of a place, now or after a while.
 * SPDX-License-Identifier: MIT */
#include "master/slot.h"

#include "common/log.h"
#include "master/fleet.h"
#include "master/mold.h"

#include <event2/event.h>

static bool
mold_loads(const struct generation *g)
{
	return g->mold != NULL && g->mold->state == MOLD_LOADING;
}

static void
start(struct slot *s)
{
	struct fleet *f = s->fleet;
	struct err e = {""};

	/* fleet_mold_done() starts every slot that waits. */
	if (mold_loads(f->gen))
		return;
	s->waiting = false;
	if (s->coming != NULL || s->serving != NULL)
		return;
	s->coming = proc_start(f, f->gen, s->index, ++s->epoch, false, &e);
	if (s->coming != NULL) {
		f->tally.spawns[s->why]++;
		return;
	}
	log_error("master", "worker cannot be started", "slot=%u reason=\"%s\"", s->index,
	    e.text);
	slot_start_in(s, backoff_next(&s->backoff, 0, false), s->why);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	start(arg);
}

struct slot *
slot_create(struct fleet *f, unsigned index)
{
	struct slot *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->fleet = f;
	s->index = index;
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
	event_free(s->timer);
	free(s);
}

void
slot_start_in(struct slot *s, int64_t ms, enum spawn_reason why)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	s->waiting = true;
	s->why = why;
	evtimer_add(s->timer, &tv);
}

void
slot_cancel(struct slot *s)
{
	evtimer_del(s->timer);
	s->waiting = false;
}
