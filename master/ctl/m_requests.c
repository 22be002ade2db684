/* requests.inflight and listeners.list: what is being answered, and what waits at the door.
 * SPDX-License-Identifier: MIT */
#include "master/accept_queue.h"
#include "master/ctl/ctl.h"
#include "master/inflight.h"
#include "master/master.h"
#include "master/minder.h"

#include <inttypes.h>
#include <stdio.h>

#define LIMIT_DEFAULT 100

/* ---- Requests in flight ---- */

/* Since when, and who: the order of pages, which stays while others come and go. */
struct place {
	uint64_t started_ns, serial;
	unsigned slot, epoch;
};

struct candidate {
	const struct proc *p;
	unsigned entry;
	struct place at;
};

struct candidates {
	struct candidate *v; /* owned */
	size_t n, capacity;
};

static bool
add_candidate(struct candidates *cs, const struct candidate *c)
{
	if (cs->n == cs->capacity) {
		size_t capacity = cs->capacity ? cs->capacity * 2 : 64;
		void *grown = reallocarray(cs->v, capacity, sizeof(*cs->v));

		if (grown == NULL)
			return false;
		cs->v = grown;
		cs->capacity = capacity;
	}
	cs->v[cs->n++] = *c;
	return true;
}

static int
compare(const struct place *l, const struct place *r)
{
	if (l->started_ns != r->started_ns)
		return l->started_ns < r->started_ns ? -1 : 1;
	if (l->slot != r->slot)
		return l->slot < r->slot ? -1 : 1;
	if (l->epoch != r->epoch)
		return l->epoch < r->epoch ? -1 : 1;
	return l->serial < r->serial ? -1 : l->serial > r->serial;
}

static int
by_place(const void *a, const void *b)
{
	const struct candidate *l = a, *r = b;

	return compare(&l->at, &r->at);
}

static void
collect(struct candidates *cs, const struct proc *p, int64_t slow_us, uint64_t now_ns)
{
	for (unsigned i = 0; i < SEG_INFLIGHT; i++) {
		struct inflight f;
		struct candidate c = {.p = p, .entry = i};

		if (!inflight_read(p->seg, i, now_ns, &f) || f.age_us < slow_us)
			continue;
		c.at = (struct place){f.bytes.started_ns, f.serial, p->slot, p->epoch};
		if (!add_candidate(cs, &c))
			return;
	}
}

/* "8812345678-0-3-5512"; no text: before all others. -1: it is no cursor. */
static int
read_cursor(const char *text, struct place *at)
{
	int end = 0;

	*at = (struct place){.started_ns = 0};
	if (text == NULL ||
	    (sscanf(text, "%" SCNu64 "-%u-%u-%" SCNu64 "%n", &at->started_ns, &at->slot,
		 &at->epoch, &at->serial, &end) == 4 &&
		text[end] == '\0'))
		return 0;
	return -1;
}

/* From `first` on. Returns the first that was not looked at. */
static size_t
list_page(const struct candidates *cs, size_t first, size_t limit, json_t *list)
{
	uint64_t now_ns = inflight_now_ns();
	size_t i = first;

	for (; i < cs->n && json_array_size(list) < limit; i++) {
		const struct proc *p = cs->v[i].p;
		struct inflight f;

		/* It may have ended since. */
		if (inflight_read(p->seg, cs->v[i].entry, now_ns, &f))
			json_array_append_new(
			    list, inflight_to_json(&f, p->slot, p->epoch));
	}
	return i;
}

int
ctl_requests_inflight(struct ctl_call *call)
{
	int64_t slow_us = ctl_param_ms(call, "slow_s", 0) * 1000;
	int64_t slot = ctl_param_int(call, "slot", -1);
	size_t limit = (size_t)ctl_param_int(call, "limit", LIMIT_DEFAULT), i = 0;
	uint64_t now_ns = inflight_now_ns();
	struct candidates cs = {.v = NULL};
	json_t *list, *cursor;
	struct place at;

	if (read_cursor(ctl_param_str(call, "cursor", NULL), &at) < 0)
		return ctl_fail(call, CTL_E_INVALID_PARAMS,
		    json_pack("{s:s, s:s}", "param", "cursor", "expected",
			"what the page before ended with"),
		    "cursor: expected what the page before ended with");
	for (const struct proc *p = call->master->fleet.procs; p != NULL; p = p->next)
		if (p->seg != NULL && (slot < 0 || p->slot == (unsigned)slot))
			collect(&cs, p, slow_us, now_ns);
	if (cs.n > 0)
		qsort(cs.v, cs.n, sizeof(*cs.v), by_place);
	while (ctl_has_param(call, "cursor") && i < cs.n && compare(&cs.v[i].at, &at) <= 0)
		i++;
	list = json_array();
	i = list_page(&cs, i, limit, list);
	cursor = json_null();
	if (i < cs.n) {
		at = cs.v[i - 1].at;
		cursor = json_sprintf("%" PRIu64 "-%u-%u-%" PRIu64, at.started_ns, at.slot,
		    at.epoch, at.serial);
	}
	free(cs.v);
	return ctl_reply(call, json_pack("{s:o, s:I, s:o}", "requests", list, "total",
				   (json_int_t)cs.n, "cursor", cursor));
}

/* ---- Listeners ---- */

_Static_assert(LISTENERS_MAX <= SEG_LISTENERS, "workers count for every listener");

static json_t *
listener_to_json(const struct master *m, size_t i, uint64_t accepted)
{
	const struct listener *l = &m->listeners.v[i];
	struct accept_queue q;
	bool known = !l->is_unix && accept_queue_read(l->fd, &q);
	char addr[sizeof(l->name) + 8];

	snprintf(addr, sizeof(addr), "%s%s", l->is_unix ? "" : "tcp:", l->name);
	return json_pack("{s:s, s:s, s:b, s:i, s:o, s:o, s:o, s:I}", "name", l->name,
	    "addr", addr, "tls", m->heritage.conf.certfile != NULL, "fd", l->fd, "backlog",
	    known ? json_integer(q.limit) : json_null(), "accept_queue",
	    known ? json_integer(q.waiting) : json_null(), "accept_queue_max",
	    known ? json_integer(m->minder->queue_max[i]) : json_null(), "accepted",
	    (json_int_t)accepted);
}

int
ctl_listeners_list(struct ctl_call *call)
{
	json_t *list = json_array();
	struct totals_snapshot s;

	minder_take(call->master->minder, &s);
	for (size_t i = 0; i < call->master->listeners.n; i++)
		json_array_append_new(
		    list, listener_to_json(call->master, i, s.tallies.accepted[i]));
	return ctl_reply(call, json_pack("{s:o}", "listeners", list));
}
