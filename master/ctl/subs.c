/* Subscriptions: each has a place in its source and goes on when its client has taken what
 * it got. A client that lags costs a bounded output; what has left the source meanwhile it
 * is told as lost. SPDX-License-Identifier: MIT */
#include "master/ctl/server.h"
#include "master/master.h"

#include <event2/event.h>
#include <stdio.h>

/* To one subscription in one go. */
#define GO_BYTES 131072

struct ctl_sub {
	struct ctl_sub *next;
	struct ctl_conn *conn; /* borrowed */
	json_int_t number;
	enum ctl_sub_kind kind;
	uint64_t next_seq; /* the first not sent yet */
	json_t *types;     /* owned; events: NULL for all */
	enum log_level min;
	bool plain; /* events: without what only an operator may see */
	const struct ctl_stream_ops *ops;
	void *ctx;           /* of ops */
	struct event *timer; /* owned; streams */
};

bool
ctl_types_match(const json_t *types, const char *type)
{
	if (types == NULL)
		return true;
	for (size_t i = 0; i < json_array_size(types); i++) {
		const char *want = json_string_value(json_array_get(types, i));
		size_t n = strlen(want);

		if (strcmp(want, type) == 0 ||
		    (want[n - 1] == '*' && strncmp(want, type, n - 1) == 0))
			return true;
	}
	return false;
}

/* text: the members after `sub`, as an object: {"seq":... */
static void
notify(struct ctl_sub *s, const char *method, const char *text)
{
	AUTO_FREE char *line = NULL;
	int n = asprintf(&line,
	    "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":{\"sub\":"
	    "%" JSON_INTEGER_FORMAT ",%s}\n",
	    method, s->number, text + 1);

	if (n < 0) {
		line = NULL;
		return;
	}
	ctl_conn_send(s->conn, line, (size_t)n);
}

static void
notify_json(struct ctl_sub *s, const char *method, json_t *v)
{
	AUTO_FREE char *text = v ? json_dumps(v, CTL_DUMP) : NULL;

	if (text != NULL)
		notify(s, method, text);
	json_decref(v);
}

static void
tell_lost(struct ctl_sub *s, uint64_t to)
{
	uint64_t from = s->next_seq;

	if (s->kind == CTL_SUB_EVENTS)
		s->conn->ctl->master->self.events_lost += to - from + 1;
	notify_json(s, "event",
	    json_pack("{s:I, s:f, s:s, s:{s:I, s:I, s:I}}", "seq", (json_int_t)to, "t",
		ctl_now(), "type", "events.lost", "data", "lost",
		(json_int_t)(to - from + 1), "from", (json_int_t)from, "to",
		(json_int_t)to));
	s->next_seq = to + 1;
}

/* What says more about a request than an observer may know. */
static const char *const operators_only[] = {
    "requests", "request", "stack", "traceback", "stderr_tail", "text"};

json_t *
ctl_plain_event(const struct event_record *r)
{
	json_t *v = events_to_json(r);
	json_t *data = json_object_get(v, "data");

	for (size_t i = 0; i < ARRAY_LEN(operators_only); i++)
		json_object_del(data, operators_only[i]);
	return v;
}

static void
send_event(struct ctl_sub *s, const struct event_record *r)
{
	struct ctl *c = s->conn->ctl;

	if (s->plain) {
		notify_json(s, "event", ctl_plain_event(r));
		return;
	}
	if (c->event_seq != r->seq || c->event_text == NULL) {
		free(c->event_text);
		c->event_text = events_to_text(r);
		c->event_seq = r->seq;
	}
	if (c->event_text != NULL)
		notify(s, "event", c->event_text);
}

/* One step; false when there is nothing new. */
static bool
step_events(struct ctl_sub *s)
{
	const struct events *ev = &s->conn->ctl->master->events;
	uint64_t oldest = events_oldest(ev);
	const struct event_record *r;

	if (s->next_seq > ev->seq)
		return false;
	if (oldest == 0 || s->next_seq < oldest) {
		tell_lost(s, oldest == 0 ? ev->seq : oldest - 1);
		return true;
	}
	r = events_get(ev, s->next_seq++);
	if (ctl_types_match(s->types, r->type))
		send_event(s, r);
	return true;
}

static bool
step_logs(struct ctl_sub *s)
{
	const struct ctl_logtap *t = &s->conn->ctl->logtap;
	uint64_t oldest = t->seq >= CTL_LOG_KEPT ? t->seq - CTL_LOG_KEPT + 1 : 1;
	const struct ctl_log_line *l;

	if (s->next_seq > t->seq)
		return false;
	if (s->next_seq < oldest) {
		tell_lost(s, oldest - 1);
		return true;
	}
	l = &t->v[s->next_seq++ % CTL_LOG_KEPT];
	if (l->level >= s->min && l->text != NULL)
		notify_json(s, "event",
		    json_pack("{s:I, s:f, s:s, s:{s:s, s:o}}", "seq", (json_int_t)l->seq,
			"t", l->t, "type", "log", "data", "level", log_level_name(l->level),
			"line", ctl_text(str_of(l->text))));
	return true;
}

/* True when it stopped for this go only. */
static bool
pump(struct ctl_sub *s)
{
	size_t before = ctl_conn_pending(s->conn);

	/* Small steps: what does not match costs something, too. */
	for (int i = 0; i < EVENTS_KEPT; i++) {
		size_t now = ctl_conn_pending(s->conn);

		if (s->conn->broken || now >= CTL_OUT_HIGH)
			return false;
		if (i >= GO_BYTES / 256 || now > before + GO_BYTES)
			return true;
		if (s->kind == CTL_SUB_EVENTS ? !step_events(s) : !step_logs(s))
			return false;
	}
	return true;
}

void
ctl_subs_pump(struct ctl_conn *conn)
{
	bool more = false;

	for (struct ctl_sub *s = conn->subs; s != NULL && !conn->broken; s = s->next)
		if (s->kind != CTL_SUB_STREAM)
			more |= pump(s);
	if (more && !conn->broken)
		ctl_conn_want_write(conn);
}

static void
on_interval(evutil_socket_t fd, short what, void *arg)
{
	struct ctl_sub *s = arg;
	json_t *v;
	(void)fd, (void)what;

	/* Skipped numbers tell that the newest came in place of some. */
	s->next_seq++;
	if (s->conn->broken || ctl_conn_pending(s->conn) >= CTL_OUT_HIGH)
		return;
	v = s->ops->make(s->conn->ctl->master, s->ctx, false);
	if (v == NULL)
		return;
	json_object_set_new(v, "seq", json_integer((json_int_t)s->next_seq));
	json_object_set_new(v, "t", json_real(ctl_now()));
	notify_json(s, s->ops->method, v);
}

static void
free_sub(struct ctl_sub *s)
{
	if (s->timer != NULL)
		event_free(s->timer);
	if (s->ops != NULL && s->ops->finish != NULL)
		s->ops->finish(s->ctx);
	json_decref(s->types);
	free(s);
}

/* NULL: refused, answered. */
static struct ctl_sub *
add_sub(struct ctl_call *call, enum ctl_sub_kind kind)
{
	struct ctl_conn *conn = call->conn;
	struct ctl_sub *s;

	if (conn->n_subs >= CTL_SUBS_MAX) {
		ctl_fail(call, CTL_E_OVERLOADED, json_pack("{s:i}", "retry_ms", 1000),
		    "a connection has at most %d subscriptions; unsubscribe from one",
		    CTL_SUBS_MAX);
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		ctl_fail(call, CTL_E_INTERNAL, NULL, "out of memory");
		return NULL;
	}
	s->conn = conn;
	s->kind = kind;
	s->number = ++conn->ctl->last_sub;
	s->next = conn->subs;
	conn->subs = s;
	conn->n_subs++;
	return s;
}

int
ctl_sub_events(struct ctl_call *call, const json_t *types, uint64_t after_seq)
{
	const struct events *ev = &call->master->events;
	struct ctl_conn *conn = call->conn;
	struct ctl_sub *s = add_sub(call, CTL_SUB_EVENTS);

	if (s == NULL)
		return 0;
	s->types = json_incref((json_t *)types);
	s->next_seq = MIN(after_seq, ev->seq) + 1;
	s->plain = conn->peer.role < CTL_OPERATOR;
	ctl_reply(call, json_pack("{s:I, s:I, s:{s:i, s:i}}", "sub", s->number, "seq",
			    (json_int_t)ev->seq, "state", "generation",
			    (int)call->master->fleet.gen->number, "workers",
			    (int)call->master->fleet.wanted));
	ctl_subs_pump(conn);
	return 0;
}

int
ctl_sub_logs(struct ctl_call *call, enum log_level min, unsigned tail)
{
	const struct ctl_logtap *t = &call->ctl->logtap;
	struct ctl_conn *conn = call->conn;
	uint64_t kept = MIN(t->seq, (uint64_t)CTL_LOG_KEPT);
	struct ctl_sub *s = add_sub(call, CTL_SUB_LOGS);

	if (s == NULL)
		return 0;
	s->min = min;
	s->next_seq = t->seq - MIN(kept, (uint64_t)tail) + 1;
	ctl_reply(call,
	    json_pack("{s:I, s:I, s:{s:s}}", "sub", s->number, "seq", (json_int_t)t->seq,
		"state", "level", log_level_name(log_get_level())));
	ctl_subs_pump(conn);
	return 0;
}

int
ctl_stream(
    struct ctl_call *call, int64_t interval_ms, const struct ctl_stream_ops *ops, void *ctx)
{
	struct timeval tv = {interval_ms / 1000, interval_ms % 1000 * 1000};
	struct ctl_sub *s = add_sub(call, CTL_SUB_STREAM);
	json_t *state;

	if (s == NULL) {
		if (ops->finish != NULL)
			ops->finish(ctx);
		return 0;
	}
	s->ops = ops;
	s->ctx = ctx;
	s->timer = event_new(call->master->base, -1, EV_PERSIST, on_interval, s);
	if (s->timer == NULL || event_add(s->timer, &tv) < 0) {
		(void)!ctl_sub_end(call->conn, s->number);
		return ctl_fail(call, CTL_E_INTERNAL, NULL, "out of memory");
	}
	state = ops->make(call->master, ctx, true);
	return ctl_reply(call, json_pack("{s:I, s:i, s:o}", "sub", s->number, "seq", 0,
				   "state", state ? state : json_object()));
}

int
ctl_sub_end(struct ctl_conn *conn, json_int_t number)
{
	for (struct ctl_sub **at = &conn->subs; *at != NULL; at = &(*at)->next) {
		struct ctl_sub *s = *at;

		if (s->number != number)
			continue;
		*at = s->next;
		conn->n_subs--;
		free_sub(s);
		return 0;
	}
	return -1;
}

void
ctl_subs_finish(struct ctl_conn *conn)
{
	while (conn->subs != NULL)
		(void)!ctl_sub_end(conn, conn->subs->number);
}
