/* What happened, in order: numbered, limited, kept in a ring of bounded size.
 * SPDX-License-Identifier: MIT */
#include "master/events.h"

#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define PER_SECOND 10

static const struct {
	const char *name;
	bool repeats;
} types[EVENT_TYPES] = {
#define EVENT(ident, name, repeats, text) {name, repeats},
#include "common/events.def"
#undef EVENT
};

struct bucket {
	int64_t second; /* monotonic */
	unsigned count;
	uint64_t suppressed;
};

/* Behind events->limits. */
struct limits {
	struct bucket buckets[EVENT_TYPES];
	uint64_t oldest; /* in the ring; 0: none */
	size_t bytes;
	size_t sizes[EVENTS_KEPT];
};

int
events_init(struct events *ev, uint64_t first_seq, struct err *e)
{
	memset(ev, 0, sizeof(*ev));
	ev->seq = first_seq > 0 ? first_seq - 1 : 0;
	ev->limits = calloc(1, sizeof(struct limits));
	return ev->limits == NULL ? err_set(e, "out of memory") : 0;
}

const char *
events_type_name(size_t type)
{
	return types[type].name;
}

bool
events_type_is_kept(size_t type)
{
	return type != EVENT_log_line && type != EVENT_events_lost;
}

static void
drop_oldest(struct events *ev)
{
	struct limits *l = ev->limits;
	size_t at = l->oldest % EVENTS_KEPT;

	free(ev->ring[at].data);
	ev->ring[at] = (struct event_record){0};
	l->bytes -= l->sizes[at];
	l->oldest = l->oldest == ev->seq ? 0 : l->oldest + 1;
}

void
events_finish(struct events *ev)
{
	struct limits *l = ev->limits;

	if (l == NULL)
		return;
	while (l->oldest != 0)
		drop_oldest(ev);
	free(l);
	ev->limits = NULL;
}

static size_t
find_type(const char *name)
{
	for (size_t i = 0; i < EVENT_TYPES; i++)
		if (strcmp(types[i].name, name) == 0)
			return i;
	return EVENT_TYPES;
}

/* Whether this one is shown; *suppressed: how many before it were not. */
static bool
within_limit(struct limits *l, size_t type, uint64_t *suppressed)
{
	struct bucket *b = &l->buckets[type];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (b->second != now.tv_sec) {
		b->second = now.tv_sec;
		b->count = 0;
	}
	if (types[type].repeats && b->count >= PER_SECOND) {
		b->suppressed++;
		return false;
	}
	b->count++;
	*suppressed = b->suppressed;
	b->suppressed = 0;
	return true;
}

static const struct event_record *
keep(struct events *ev, const struct event_record *r)
{
	struct limits *l = ev->limits;
	size_t size = strlen(r->data) + 1;
	size_t at = r->seq % EVENTS_KEPT;

	while (l->oldest != 0 &&
	       (r->seq - l->oldest >= EVENTS_KEPT || l->bytes + size > EVENTS_BYTES_MAX))
		drop_oldest(ev);
	ev->seq = r->seq;
	ev->ring[at] = *r;
	l->sizes[at] = size;
	l->bytes += size;
	if (l->oldest == 0)
		l->oldest = r->seq;
	return &ev->ring[at];
}

void
events_emit(struct events *ev, const char *type, json_t *data)
{
	size_t i = find_type(type);
	struct event_record r = {0};
	struct timespec now;

	if (data == NULL)
		data = json_object();
	if (ev->limits == NULL || i == EVENT_TYPES) {
		log_error("events", "event cannot be kept", "type=%s", type);
		json_decref(data);
		return;
	}
	ev->counts[i]++;
	if (within_limit(ev->limits, i, &r.suppressed))
		r.data = json_dumps(data, JSON_COMPACT);
	json_decref(data);
	if (r.data == NULL)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	r.seq = ev->seq + 1;
	r.t = (double)now.tv_sec + (double)(now.tv_nsec / 1000) / 1e6;
	r.type = types[i].name;
	if (ev->on_event != NULL)
		ev->on_event(ev->ctx, keep(ev, &r));
	else
		keep(ev, &r);
}

const struct event_record *
events_get(const struct events *ev, uint64_t seq)
{
	uint64_t oldest = events_oldest(ev);

	if (oldest == 0 || seq < oldest || seq > ev->seq)
		return NULL;
	return &ev->ring[seq % EVENTS_KEPT];
}

uint64_t
events_oldest(const struct events *ev)
{
	const struct limits *l = ev->limits;

	return l == NULL ? 0 : l->oldest;
}

json_t *
events_to_json(const struct event_record *r)
{
	json_t *v = json_pack("{s:I, s:f, s:s, s:o}", "seq", (json_int_t)r->seq, "t", r->t,
	    "type", r->type, "data", json_loads(r->data, 0, NULL));

	if (v != NULL && r->suppressed > 0)
		json_object_set_new(
		    v, "suppressed", json_integer((json_int_t)r->suppressed));
	return v;
}

char *
events_to_text(const struct event_record *r)
{
	char left_out[48] = "", *text;

	if (r->suppressed > 0)
		snprintf(
		    left_out, sizeof(left_out), ",\"suppressed\":%" PRIu64, r->suppressed);
	if (asprintf(&text,
		"{\"seq\":%" PRIu64 ",\"t\":%.6f,\"type\":\"%s\",\"data\":%s%s}", r->seq,
		r->t, r->type, r->data, left_out) < 0)
		return NULL;
	return text;
}
