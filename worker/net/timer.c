/* Timeouts: rings of timers, one per kind, always sorted by the time of expiry.
 * SPDX-License-Identifier: MIT */
#include "worker/net/timer.h"

void
timerq_init(struct timerq queues[TIMER_KINDS])
{
	for (size_t i = 0; i < TIMER_KINDS; i++) {
		queues[i].head.prev = queues[i].head.next = &queues[i].head;
		queues[i].after_ns = 0;
	}
}

void
timer_clear(struct timer *t)
{
	if (t->kind == TIMER_NONE)
		return;
	t->prev->next = t->next;
	t->next->prev = t->prev;
	t->kind = TIMER_NONE;
}

static void
link_behind(
    struct timer *place, struct timer *t, enum timer_kind kind, uint64_t deadline_ns)
{
	t->kind = (uint8_t)kind;
	t->deadline_ns = deadline_ns;
	t->prev = place;
	t->next = place->next;
	place->next->prev = t;
	place->next = t;
}

void
timer_set_at(struct timerq queues[TIMER_KINDS], struct timer *t, enum timer_kind kind,
    uint64_t deadline_ns)
{
	struct timer *head = &queues[kind].head, *place;

	timer_clear(t);
	place = head->prev;
	while (place != head && place->deadline_ns > deadline_ns)
		place = place->prev;
	link_behind(place, t, kind, deadline_ns);
}

void
timer_set(struct timerq queues[TIMER_KINDS], struct timer *t, enum timer_kind kind,
    uint64_t now_ns)
{
	struct timerq *q = &queues[kind];

	timer_clear(t);
	if (q->after_ns != 0)
		link_behind(q->head.prev, t, kind, now_ns + q->after_ns);
}

struct timer *
timer_oldest(struct timerq *q)
{
	return q->head.next == &q->head ? NULL : q->head.next;
}

struct timer *
timer_pop_expired(struct timerq *q, uint64_t now_ns)
{
	struct timer *t = timer_oldest(q);

	if (t == NULL || t->deadline_ns > now_ns)
		return NULL;
	timer_clear(t);
	return t;
}

void
timerq_rescale(struct timerq *q, uint64_t after_ns)
{
	for (struct timer *t = q->head.next; t != &q->head; t = t->next)
		t->deadline_ns = t->deadline_ns - q->after_ns + after_ns;
	q->after_ns = after_ns;
}
