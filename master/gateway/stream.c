/* Server-sent events: one subscription of the master for all viewers, each frame written
 * once. SPDX-License-Identifier: MIT */
#include "master/gateway/stream.h"

#include "common/log.h"
#include "master/gateway/gateway.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>

#define BEHIND_BYTES 262144 /* a viewer that has so much unread gets no more for now */
#define REPLAY_MAX 1000
#define SILENCE_S 15 /* proxies close what says nothing for longer */

enum feed { FEED_EVENTS, FEED_STATS, FEEDS };

struct stream {
	struct stream *prev, *next; /* streams->first */
	struct streams *all;
	struct http *http;
	bool stats;        /* it gets both feeds */
	json_int_t seq;    /* of the last event it got */
	json_int_t replay; /* the call that gets what it missed; 0: none */
	uint64_t lost;     /* frames it was too slow for */
};

struct feed_state {
	struct streams *all;
	json_int_t call, sub;  /* 0: none */
	struct evbuffer *last; /* owned; the newest frame of stats */
};

struct streams {
	struct gateway *gateway; /* borrowed */
	struct stream *first;
	unsigned n;
	struct feed_state feed[FEEDS];
	struct event *tick; /* owned */
};

static struct evbuffer *
output(const struct stream *v)
{
	return bufferevent_get_output(v->http->bev);
}

static void
send_frame(struct stream *v, const char *frame, size_t n)
{
	struct evbuffer *out = output(v);

	if (evbuffer_get_length(out) > BEHIND_BYTES) {
		v->lost++;
		return;
	}
	if (v->lost > 0)
		evbuffer_add_printf(out, "event: lost\ndata: {\"lost\":%llu}\n\n",
		    (unsigned long long)v->lost);
	v->lost = 0;
	evbuffer_add(out, frame, n);
}

/* JSON has no raw line breaks: one data line. Owned by the caller. */
static char *
make_frame(const char *name, json_int_t id, const json_t *data)
{
	AUTO_FREE char *text = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(16));
	char *frame = NULL;
	char line[48] = "";

	if (id > 0)
		snprintf(line, sizeof(line), "id: %lld\n", (long long)id);
	if (text == NULL ||
	    asprintf(&frame, "%sevent: %s\ndata: %s\n\n", line, name, text) < 0)
		return NULL;
	return frame;
}

static void
send_event(struct stream *v, json_t *params)
{
	json_int_t seq = json_integer_value(json_object_get(params, "seq"));
	AUTO_FREE char *frame = NULL;

	if (seq <= v->seq)
		return;
	frame = make_frame("event", seq, params);
	if (frame != NULL)
		send_frame(v, frame, strlen(frame));
	v->seq = seq;
}

static void
keep_last(struct feed_state *f, const char *frame)
{
	evbuffer_drain(f->last, evbuffer_get_length(f->last));
	evbuffer_add(f->last, frame, strlen(frame));
}

static void
spread_stats(struct streams *s, json_t *params)
{
	AUTO_FREE char *frame = NULL;

	json_object_del(params, "sub");
	frame = make_frame("stats", 0, params);
	if (frame == NULL)
		return;
	keep_last(&s->feed[FEED_STATS], frame);
	for (struct stream *v = s->first; v != NULL; v = v->next)
		if (v->stats)
			send_frame(v, frame, strlen(frame));
}

void
streams_notify(struct streams *s, const char *method, json_t *params)
{
	if (strcmp(method, "stats") == 0) {
		spread_stats(s, params);
		return;
	}
	if (strcmp(method, "event") != 0)
		return;
	json_object_del(params, "sub");
	for (struct stream *v = s->first; v != NULL; v = v->next)
		if (v->replay == 0)
			send_event(v, params);
}

static void
on_replay(void *ctx, json_t *result, json_t *error)
{
	struct stream *v = ctx;
	json_t *one;
	size_t i;

	(void)error;
	v->replay = 0;
	json_array_foreach(json_object_get(result, "events"), i, one) send_event(v, one);
}

static void
on_subscribed(void *ctx, json_t *result, json_t *error)
{
	struct feed_state *f = ctx;
	json_t *state = json_object_get(result, "state");

	if (error != NULL)
		log_warn("gateway", "the master refuses a subscription", "reason=\"%s\"",
		    json_string_value(json_object_get(error, "message")));
	f->call = 0;
	f->sub = json_integer_value(json_object_get(result, "sub"));
	if (f == &f->all->feed[FEED_STATS] && state != NULL)
		spread_stats(f->all, state);
}

static void
subscribe(struct streams *s)
{
	struct rpc *r = s->gateway->observer;

	if (r == NULL || s->feed[FEED_EVENTS].call != 0 || s->feed[FEED_EVENTS].sub != 0)
		return;
	s->feed[FEED_EVENTS].call = rpc_call(
	    r, "events.subscribe", json_object(), on_subscribed, &s->feed[FEED_EVENTS]);
	s->feed[FEED_STATS].call = rpc_call(r, "stats.subscribe",
	    json_pack("{s:i,s:[s,s,s,s,s]}", "interval_ms", 1000, "select", "totals",
		"workers", "latency", "status", "nic"),
	    on_subscribed, &s->feed[FEED_STATS]);
}

static void
unsubscribe(struct streams *s)
{
	for (int i = 0; i < FEEDS; i++) {
		struct feed_state *f = &s->feed[i];

		if (f->sub != 0 && s->gateway->observer != NULL)
			rpc_call(s->gateway->observer, "unsubscribe",
			    json_pack("{s:I}", "sub", f->sub), NULL, NULL);
		f->sub = 0;
		evbuffer_drain(f->last, evbuffer_get_length(f->last));
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct streams *s = arg;

	(void)fd, (void)what;
	for (struct stream *v = s->first; v != NULL; v = v->next)
		send_frame(v, ":\n\n", 3);
	/* A subscription that was on its way when the last viewer left. */
	if (s->n == 0)
		unsubscribe(s);
}

static void
replay(struct stream *v, struct rpc *r)
{
	struct str last = http_field(v->http, "Last-Event-ID");
	char text[24] = "";

	if (last.n == 0 || last.n >= sizeof(text))
		return;
	memcpy(text, last.p, last.n);
	v->seq = (json_int_t)strtoll(text, NULL, 10);
	if (r != NULL && v->seq > 0)
		v->replay = rpc_call(r, "events.history",
		    json_pack("{s:I,s:i}", "since_seq", v->seq, "limit", REPLAY_MAX),
		    on_replay, v);
}

void
stream_run(struct http *h)
{
	struct streams *s = h->gateway->streams;
	bool stats = str_eq(http_path(h), STR("/v1/stats/stream"));
	struct stream *v = calloc(1, sizeof(*v));
	struct evbuffer *out;

	if (v == NULL) {
		http_fail(h, CTL_E_OVERLOADED, "out of memory");
		return;
	}
	out = http_begin_stream(h, "text/event-stream");
	if (out == NULL) {
		free(v);
		return;
	}
	*v = (struct stream){.all = s, .http = h, .stats = stats, .next = s->first};
	if (v->next != NULL)
		v->next->prev = v;
	s->first = v;
	s->n++;
	h->stream = v;
	evbuffer_add_printf(out, "retry: 2000\n\n");
	if (stats) {
		size_t n = evbuffer_get_length(s->feed[FEED_STATS].last);

		evbuffer_add(out, evbuffer_pullup(s->feed[FEED_STATS].last, -1), n);
	}
	replay(v, s->gateway->observer);
	subscribe(s);
}

void
stream_leave(struct stream *v)
{
	struct streams *s = v->all;

	if (v->replay != 0)
		rpc_forget(s->gateway->observer, v->replay);
	if (v->prev != NULL)
		v->prev->next = v->next;
	else
		s->first = v->next;
	if (v->next != NULL)
		v->next->prev = v->prev;
	s->n--;
	v->http->stream = NULL;
	free(v);
	if (s->n == 0)
		unsubscribe(s);
}

struct streams *
streams_create(struct gateway *g, struct err *e)
{
	const struct timeval every = {.tv_sec = SILENCE_S};
	struct streams *s = calloc(1, sizeof(*s));
	bool fine = s != NULL;

	if (fine) {
		s->gateway = g;
		s->tick = event_new(g->base, -1, EV_PERSIST, on_tick, s);
		fine = s->tick != NULL && event_add(s->tick, &every) == 0;
		for (int i = 0; i < FEEDS; i++) {
			s->feed[i].all = s;
			s->feed[i].last = evbuffer_new();
			fine &= s->feed[i].last != NULL;
		}
	}
	if (fine)
		return s;
	streams_destroy(s);
	err_set(e, "out of memory");
	return NULL;
}

void
streams_destroy(struct streams *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < FEEDS; i++)
		if (s->feed[i].last != NULL)
			evbuffer_free(s->feed[i].last);
	if (s->tick != NULL)
		event_free(s->tick);
	free(s);
}
