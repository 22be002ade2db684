/* Timeouts: one queue per kind, each in order of expiry, most because their duration is
 * constant, so that setting, moving and clearing a timer is a few pointer writes and no
 * system call. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

enum timer_kind {
	TIMER_NONE,
	TIMER_HANDSHAKE,
	TIMER_HEAD,
	TIMER_KEEPALIVE,
	TIMER_BODY,
	TIMER_WRITE,
	TIMER_LINGER,
	TIMER_DISCARD,  /* of a request body nobody read */
	TIMER_APP,      /* the first of those of a request; the others are connections' */
	TIMER_DEADLINE, /* the request's own choice instead of TIMER_APP */
	TIMER_STUCK,    /* of an interrupted request */
	TIMER_ACK_SOON, /* when to ask what was acknowledged: first, again, and from then on
			 */
	TIMER_ACK_LATER,
	TIMER_ACK_LAST,
	TIMER_PACE, /* of an answer that has to go out slower */
	TIMER_KINDS
};

struct timer {
	struct timer *prev, *next;
	uint64_t deadline_ns;
	uint8_t kind; /* enum timer_kind; TIMER_NONE: in no queue */
};

struct timerq {
	struct timer head; /* ring; head.next expires first */
	uint64_t after_ns; /* 0: this kind never expires */
};

void timerq_init(struct timerq queues[TIMER_KINDS]);
/* (Re)starts t from now; clears it when the kind's duration is 0. */
void timer_set(struct timerq queues[TIMER_KINDS], struct timer *t, enum timer_kind kind,
    uint64_t now_ns);
/* (Re)starts t for a time of its own. Quick when the queue has few that expire later. */
void timer_set_at(struct timerq queues[TIMER_KINDS], struct timer *t, enum timer_kind kind,
    uint64_t deadline_ns);
void timer_clear(struct timer *t);
/* The next timer of this kind that has expired, taken out of its queue; NULL: none. */
struct timer *timer_pop_expired(struct timerq *q, uint64_t now_ns);
/* From now on this kind expires after after_ns; those who wait have waited just as long. */
void timerq_rescale(struct timerq *q, uint64_t after_ns);
/* The one that has been in this queue the longest; NULL: empty. */
struct timer *timer_oldest(struct timerq *q);
