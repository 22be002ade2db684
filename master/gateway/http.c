/* HTTP clients of the gateway. SPDX-License-Identifier: MIT */
#include "master/gateway/http.h"

#include "common/http/resp.h"
#include "common/log.h"
#include "master/gateway/gateway.h"
#include "master/gateway/route.h"
#include "master/gateway/stream.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#define HEAD_BYTES 16384
#define READ_STEP (HEAD_BYTES + HTTP_BODY_MAX)
#define IDLE_S 60
#define WRITE_S 30

struct str
http_method(const struct http *h)
{
	/* What is refused before its head is whole has none. */
	return h->bytes ? span_str(h->bytes, h->head.method) : (struct str){0};
}

struct str
http_path(const struct http *h)
{
	struct str path = span_str(h->bytes, h->head.path);

	return path.n > 0 ? path : STR("/");
}

struct str
http_field(const struct http *h, const char *name)
{
	const size_t n = strlen(name);

	for (uint32_t i = 0; i < h->head.n_fields; i++) {
		const struct field *f = &h->head.fields[i];
		struct str it = span_str(h->bytes, f->name);

		if (it.n == n && strncasecmp(it.p, name, n) == 0)
			return span_str(h->bytes, f->value);
	}
	return (struct str){0};
}

static void
forget_request(struct http *h)
{
	free(h->bytes);
	free(h->body);
	h->bytes = h->body = NULL;
	h->body_n = 0;
	if (h->work != NULL)
		h->drop_work(h->work);
	h->work = NULL;
	h->route = NULL;
	h->busy = false;
	session_init(&h->session, &h->head, &h->gateway->limits, HTTP_BODY_MAX);
}

void
http_close(struct http *h)
{
	struct gateway *g = h->gateway;

	if (h->stream != NULL)
		stream_leave(h->stream);
	if (h->call != 0)
		rpc_forget(h->asked, h->call);
	rpc_close(h->own);
	bufferevent_free(h->bev);
	forget_request(h);
	if (h->prev != NULL)
		h->prev->next = h->next;
	else
		g->clients = h->next;
	if (h->next != NULL)
		h->next->prev = h->prev;
	g->n_clients--;
	free(h);
}

static int
put_fields(struct resp *r, const char *type, const char *extra)
{
	static const char security[] = "X-Content-Type-Options: nosniff\r\n"
				       "Referrer-Policy: no-referrer\r\n";
	/* Figures are of their moment; the one page that may be kept says so itself. */
	const bool keeps = extra != NULL && strstr(extra, "Cache-Control:") != NULL;
	const char *sets[] = {
	    security, extra, keeps ? NULL : "Cache-Control: no-store\r\n"};

	if (type != NULL && resp_field(r, STR("Content-Type"), str_of(type)) != RESP_OK)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		for (const char *p = sets[i], *end; p != NULL && *p != '\0'; p = end + 2) {
			const char *colon = strchr(p, ':');

			end = strstr(p, "\r\n");
			if (resp_field(r, (struct str){p, (size_t)(colon - p)},
				(struct str){colon + 2, (size_t)(end - colon - 2)}) !=
			    RESP_OK)
				return -1;
		}
	return 0;
}

/* The head, with the length of the body unless it is a stream. -1: nothing was written. */
static int
put_head(
    struct http *h, int status, const char *type, const char *extra, bool sized, size_t n)
{
	char memory[2048], line[64], date[29];
	struct resp_buf out = {.p = memory, .cap = sizeof(memory)};
	struct resp r = {.out = &out,
	    .head_request = str_eq(http_method(h), STR("HEAD")),
	    /* A stream has no chunks: it ends with the connection. */
	    .http11 = sized && h->head.http11,
	    .keep_alive = !h->ending && h->head.keep_alive};
	int rc = -1;

	snprintf(line, sizeof(line), "%d %s", status, status_reason(status));
	http_date(date, (int64_t)time(NULL));
	if (resp_begin(&r, str_of(line)) == RESP_OK && put_fields(&r, type, extra) == 0 &&
	    resp_finish(&r, (struct str){date, sizeof(date)}, STR("shoal"), sized, n) ==
		RESP_OK) {
		rc = evbuffer_add(bufferevent_get_output(h->bev), out.p, out.n);
		if (!r.keep_alive)
			h->ending = true;
	}
	if (out.on_heap)
		free(out.p);
	return rc;
}

/* The answer is in the output. */
static void
finish_answer(struct http *h)
{
	h->call = 0;
	forget_request(h);
	bufferevent_trigger(
	    h->bev, h->ending ? EV_WRITE : EV_READ, BEV_OPT_DEFER_CALLBACKS);
}

void
http_answer(struct http *h, int status, const char *type, const char *extra,
    const void *body, size_t n)
{
	const bool head = str_eq(http_method(h), STR("HEAD"));

	if (put_head(h, status, type, extra, true, n) < 0 ||
	    (!head && evbuffer_add(bufferevent_get_output(h->bev), body, n) < 0))
		h->ending = true;
	finish_answer(h);
}

void
http_answer_json(struct http *h, int status, const char *extra, const json_t *body)
{
	AUTO_FREE char *text = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(16));

	if (text == NULL)
		http_answer(h, 500, NULL, NULL, "", 0);
	else
		http_answer(h, status, "application/json", extra, text, strlen(text));
}

void
http_fail(struct http *h, enum ctl_kind kind, const char *message)
{
	const struct ctl_error *e = &ctl_errors[kind];
	json_t *body = json_pack("{s:{s:i,s:s,s:{s:s}}}", "error", "code", e->code,
	    "message", message, "data", "kind", e->kind);

	http_answer_json(h, e->http, NULL, body);
	json_decref(body);
}

struct evbuffer *
http_begin_stream(struct http *h, const char *type)
{
	bool head = str_eq(http_method(h), STR("HEAD"));

	/* Its end is the end of the connection: simple, and proxies do not wait. */
	h->ending = true;
	if (put_head(h, 200, type, "X-Accel-Buffering: no\r\n", head, 0) < 0 || head) {
		finish_answer(h);
		return NULL;
	}
	bufferevent_set_timeouts(h->bev, NULL, &(struct timeval){.tv_sec = WRITE_S});
	return bufferevent_get_output(h->bev);
}

static void
refuse(struct http *h, int status, const char *why)
{
	h->ending = true;
	log_debug("gateway", "request refused", "status=%d reason=\"%s\"", status, why);
	http_answer(h, status, "text/plain", NULL, why, strlen(why));
}

static int
keep_head(struct http *h, const char *p, size_t n)
{
	h->bytes = malloc(n);
	if (h->bytes == NULL)
		return -1;
	memcpy(h->bytes, p, n);
	return 0;
}

static int
keep_body(struct http *h, struct str data)
{
	char *p = realloc(h->body, h->body_n + data.n + 1);

	if (p == NULL)
		return -1;
	memcpy(p + h->body_n, data.p, data.n);
	h->body = p;
	h->body_n += data.n;
	h->body[h->body_n] = '\0';
	return 0;
}

/* One step of the parser. false: more bytes are needed, or it is being answered. */
static bool
step(struct http *h, struct evbuffer *in)
{
	size_t n = evbuffer_get_length(in), used = 0;
	const char *p = n > 0 ? (const char *)evbuffer_pullup(in, -1) : "";
	struct str data;
	enum session_event what = session_feed(&h->session, p, n, &used, &data);
	int rc = 0;

	if (what == SESSION_HEAD)
		rc = keep_head(h, p, used);
	else if (what == SESSION_BODY)
		rc = keep_body(h, data);
	evbuffer_drain(in, used);
	if (what == SESSION_MORE && h->session.state == SESSION_IN_HEAD && n > HEAD_BYTES)
		rc = -1;
	if (what == SESSION_ERROR || rc < 0) {
		h->busy = true;
		refuse(h, rc < 0 ? 431 : h->session.status,
		    rc < 0 ? "too large\n" : h->session.reason);
		return false;
	}
	if (what != SESSION_END)
		return what != SESSION_MORE;
	h->busy = true;
	route_run(h);
	return false;
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct http *h = arg;

	if (h->ending && !h->busy)
		evbuffer_drain(bufferevent_get_input(bev), READ_STEP);
	if (h->busy || h->ending)
		return;
	while (step(h, bufferevent_get_input(bev)))
		;
}

/* The answer has left. What the client still sends is read and dropped for a moment: a
 * close() with unread bytes would be a reset, and the answer lost. */
static void
on_written(struct bufferevent *bev, void *arg)
{
	const struct timeval moment = {.tv_sec = 1};
	struct http *h = arg;

	if (h->stream != NULL || !h->ending || h->busy ||
	    evbuffer_get_length(bufferevent_get_output(bev)) > 0)
		return;
	if (h->eof) {
		http_close(h);
		return;
	}
	shutdown(bufferevent_getfd(bev), SHUT_WR);
	bufferevent_set_timeouts(bev, &moment, NULL);
}

static void
on_end(struct bufferevent *bev, short what, void *arg)
{
	struct http *h = arg;

	/* Who has said all may still listen; not who failed: both may come at once. */
	if ((what & BEV_EVENT_EOF) && !(what & BEV_EVENT_ERROR) && h->stream == NULL &&
	    !h->eof && (h->busy || evbuffer_get_length(bufferevent_get_output(bev)) > 0)) {
		h->eof = h->ending = true;
		return;
	}
	http_close(h);
}

static struct http *
create(struct gateway *g, int fd, struct rpc *session)
{
	struct http *h = g->n_clients < HTTP_CLIENTS_MAX ? calloc(1, sizeof(*h)) : NULL;

	if (h != NULL)
		h->bev = bufferevent_socket_new(
		    g->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (h != NULL && h->bev != NULL)
		return h;
	free(h);
	close(fd);
	rpc_close(session);
	return NULL;
}

/* What the master read of it. Nobody but the socket may write there unless told so. */
static int
put_back(struct bufferevent *bev, struct str first)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	int rc = evbuffer_unfreeze(in, 0);

	if (rc == 0 && first.n > 0)
		rc = evbuffer_add(in, first.p, first.n);
	evbuffer_freeze(in, 0);
	return rc;
}

void
http_accept(struct gateway *g, int fd, struct rpc *session, enum ctl_role role, bool tcp,
    struct str first)
{
	const struct timeval idle = {.tv_sec = IDLE_S}, stuck = {.tv_sec = WRITE_S};
	struct http *h = create(g, fd, session);

	if (h == NULL)
		return;
	h->gateway = g;
	h->own = session;
	h->role = role;
	h->tcp = tcp;
	h->next = g->clients;
	if (h->next != NULL)
		h->next->prev = h;
	g->clients = h;
	g->n_clients++;
	forget_request(h);
	bufferevent_setcb(h->bev, on_read, on_written, on_end, h);
	bufferevent_setwatermark(h->bev, EV_READ, 0, READ_STEP);
	bufferevent_set_timeouts(h->bev, &idle, &stuck);
	if (put_back(h->bev, first) < 0 ||
	    bufferevent_enable(h->bev, EV_READ | EV_WRITE) < 0) {
		http_close(h);
		return;
	}
	if (first.n > 0)
		bufferevent_trigger(h->bev, EV_READ, BEV_OPT_DEFER_CALLBACKS);
}
