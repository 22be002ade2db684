/* The gateway process: takes clients from the master and from its listeners until the
 * master goes. SPDX-License-Identifier: MIT */
#include "master/gateway/gateway.h"

#include "common/log.h"
#include "common/msg.h"
#include "master/gateway/http.h"
#include "master/gateway/metrics.h"
#include "master/gateway/stream.h"

#include <errno.h>
#include <signal.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/socket.h>

#define ACCEPTS_PER_TURN 16

static void
on_connection(evutil_socket_t fd, short what, void *arg)
{
	struct gateway *g = arg;

	(void)what;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (client < 0)
			return;
		http_accept(g, client, NULL, CTL_OBSERVER, true, (struct str){0});
	}
}

/* A client of the control socket: its session has the rights the kernel says it has. */
static void
on_msg_serve(struct gateway *g, struct msg *m)
{
	struct msg_serve serve;
	struct rpc *session;
	struct err e;

	if (m->n < sizeof(serve) || m->n_fds != 2)
		return;
	memcpy(&serve, m->payload, sizeof(serve));
	session = rpc_open(g->base, TAKE_FD(m->fds[1]), NULL, NULL, &e);
	if (session == NULL) {
		log_error("gateway", "client refused", "reason=\"%s\"", e.text);
		return;
	}
	http_accept(g, TAKE_FD(m->fds[0]), session, (enum ctl_role)MIN(serve.role, 3u),
	    false, (struct str){m->payload + sizeof(serve), m->n - sizeof(serve)});
}

static void
on_clients(evutil_socket_t fd, short what, void *arg)
{
	static struct msg msg;
	struct gateway *g = arg;
	int rc = msg_recv(fd, &msg);

	(void)what;
	if (rc <= 0)
		return; /* the master's end is told by its stream */
	if (msg.type == MSG_SERVE)
		on_msg_serve(g, &msg);
	for (size_t i = 0; i < msg.n_fds; i++)
		if (msg.fds[i] >= 0)
			close(msg.fds[i]);
}

/* {"hosts":[..], "listen":bool, "token":".." or null} */
static int
configure(struct gateway *g, const json_t *said, struct err *e)
{
	const char *token = json_string_value(json_object_get(said, "token"));
	int next = GATEWAY_FD_MORE;

	g->hosts = json_incref(json_object_get(said, "hosts"));
	if (token != NULL) {
		g->token = strdup(token);
		g->trusted = rpc_open(g->base, next++, NULL, NULL, e);
		if (g->token == NULL || g->trusted == NULL)
			return err_set(e, "out of memory");
	}
	if (json_is_true(json_object_get(said, "listen"))) {
		g->on_listener =
		    event_new(g->base, next, EV_READ | EV_PERSIST, on_connection, g);
		if (g->on_listener == NULL || evutil_make_socket_nonblocking(next) < 0 ||
		    event_add(g->on_listener, NULL) < 0)
			return err_set(e, "out of memory");
	}
	g->configured = true;
	return evbuffer_add_printf(
		   bufferevent_get_output(g->master), "{\"ready\":true}\n") < 0
		   ? err_set(e, "out of memory")
		   : 0;
}

static void
on_master(struct bufferevent *bev, void *arg)
{
	struct gateway *g = arg;
	size_t n;
	AUTO_FREE char *line =
	    evbuffer_readln(bufferevent_get_input(bev), &n, EVBUFFER_EOL_LF);
	json_t *said = line ? json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
	struct err e;

	if (said != NULL && !g->configured && configure(g, said, &e) < 0) {
		log_error("gateway", "cannot start", "reason=\"%s\"", e.text);
		event_base_loopbreak(g->base);
	}
	json_decref(said);
}

static void
on_master_gone(struct bufferevent *bev, short what, void *arg)
{
	struct gateway *g = arg;

	(void)bev, (void)what;
	event_base_loopbreak(g->base);
}

static void
on_notify(void *ctx, const char *method, json_t *params)
{
	struct gateway *g = ctx;

	if (method != NULL)
		streams_notify(g->streams, method, params);
	else
		event_base_loopbreak(g->base);
}

static void
on_term(evutil_socket_t fd, short what, void *arg)
{
	struct gateway *g = arg;

	(void)fd, (void)what;
	event_base_loopbreak(g->base);
}

int
gateway_open(struct gateway *g, struct err *e)
{
	g->limits = (struct head_limits){
	    .line = 8190, .fields = 64, .field_size = 8190, .total = 16384};
	g->base = event_base_new();
	if (g->base == NULL)
		return err_set(e, "out of memory");
	g->metrics = metrics_create();
	if (g->metrics == NULL)
		return err_set(e, "out of memory");
	g->streams = streams_create(g, e);
	g->observer = rpc_open(g->base, GATEWAY_FD_OBSERVER, on_notify, g, e);
	if (g->streams == NULL || g->observer == NULL)
		return -1;
	g->master = bufferevent_socket_new(
	    g->base, GATEWAY_FD_MASTER, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	g->on_client =
	    event_new(g->base, GATEWAY_FD_CLIENTS, EV_READ | EV_PERSIST, on_clients, g);
	g->on_term = evsignal_new(g->base, SIGTERM, on_term, g);
	if (g->master == NULL || bufferevent_enable(g->master, EV_READ | EV_WRITE) < 0 ||
	    g->on_client == NULL || event_add(g->on_client, NULL) < 0 ||
	    g->on_term == NULL || event_add(g->on_term, NULL) < 0)
		return err_set(e, "out of memory");
	bufferevent_setcb(g->master, on_master, NULL, on_master_gone, g);
	return 0;
}

void
gateway_close(struct gateway *g)
{
	while (g->clients != NULL)
		http_close(g->clients);
	rpc_close(g->observer);
	rpc_close(g->trusted);
	streams_destroy(g->streams);
	metrics_destroy(g->metrics);
	if (g->on_listener != NULL) {
		close(event_get_fd(g->on_listener));
		event_free(g->on_listener);
	}
	if (g->on_client != NULL)
		event_free(g->on_client);
	if (g->master != NULL)
		bufferevent_free(g->master);
	if (g->on_term != NULL)
		event_free(g->on_term);
	if (g->base != NULL)
		event_base_free(g->base);
	json_decref(g->hosts);
	free(g->token);
}
