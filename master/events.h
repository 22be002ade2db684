/* What happened, in order: every event gets the next sequence number, is kept in a ring and
 * shown to whoever listens. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <jansson.h>

#define EVENTS_KEPT 4096
/* Of all their data together: stacks and tracebacks are long. */
#define EVENTS_BYTES_MAX (2u << 20)

enum {
#define EVENT(ident, ...) EVENT_##ident,
#include "common/events.def"
#undef EVENT
	EVENT_TYPES
};

struct event_record {
	uint64_t seq;
	double t;            /* Unix seconds */
	const char *type;    /* static: a name of common/events.def */
	char *data;          /* owned; a JSON object, dumped */
	uint64_t suppressed; /* events of this type left out just before (rate limit) */
};

struct events {
	struct event_record ring[EVENTS_KEPT];
	uint64_t seq;                 /* of the last one; 0: none yet */
	uint64_t counts[EVENT_TYPES]; /* also of those left out by the rate limit */
	/* After each emission; NULL: nobody. */
	void (*on_event)(void *ctx, const struct event_record *r);
	void *ctx;
	/* Rate limit per type: see events.c */
	void *limits; /* owned */
};

NODISCARD int events_init(struct events *ev, uint64_t first_seq, struct err *e);
void events_finish(struct events *ev);
/* type: one of common/events.def. data (may be NULL) is stolen. Types that repeat are
 * limited to 10 a second; what is left out is counted in the next one. */
void events_emit(struct events *ev, const char *type, json_t *data);
const char *events_type_name(size_t type);
/* Whether there can be any in the ring: others are told to one subscriber only. */
bool events_type_is_kept(size_t type);
/* By sequence number; NULL: never was, or left the ring. */
const struct event_record *events_get(const struct events *ev, uint64_t seq);
/* The oldest still in the ring; 0: none. */
uint64_t events_oldest(const struct events *ev);
/* {"seq":..,"t":..,"type":..,"data":{..}}: new reference. */
json_t *events_to_json(const struct event_record *r);
/* The same as text, for free(); NULL without memory. */
char *events_to_text(const struct event_record *r);
