/* Sessions with the master. SPDX-License-Identifier: MIT */
#include "master/gateway/rpc.h"

#include "common/ctl_table.h"
#include "common/log.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

/* A reply of the largest size, and what came behind it in one read. */
#define LINE_MAX_BYTES (2 * (size_t)CTL_REPLY_MAX)

struct pending {
	struct pending *next;
	json_int_t id;
	rpc_answer_fn *answer; /* NULL: forgotten */
	void *ctx;
};

struct rpc {
	struct bufferevent *bev; /* owned; NULL once the session is over */
	rpc_notify_fn *notify;
	void *ctx;
	json_int_t last_id;
	struct pending *first; /* owned list */
	unsigned n_pending;
	bool busy;   /* inside a callback: rpc_close() only marks */
	bool closed; /* to be freed when not busy */
};

static struct pending *
take_pending(struct rpc *r, json_int_t id)
{
	for (struct pending **at = &r->first; *at != NULL; at = &(*at)->next)
		if ((*at)->id == id) {
			struct pending *p = *at;

			*at = p->next;
			r->n_pending--;
			return p;
		}
	return NULL;
}

static void
answer(struct rpc *r, json_int_t id, json_t *result, json_t *error)
{
	struct pending *p = take_pending(r, id);

	if (p == NULL)
		return;
	if (p->answer != NULL)
		p->answer(p->ctx, result, error);
	free(p);
}

static void
take_message(struct rpc *r, json_t *root)
{
	json_t *id = json_object_get(root, "id");
	const char *method = json_string_value(json_object_get(root, "method"));

	if (json_is_integer(id))
		answer(r, json_integer_value(id), json_object_get(root, "result"),
		    json_object_get(root, "error"));
	else if (method != NULL && r->notify != NULL)
		r->notify(r->ctx, method, json_object_get(root, "params"));
}

static void
end(struct rpc *r)
{
	if (r->bev != NULL)
		bufferevent_free(r->bev);
	r->bev = NULL;
	while (!r->closed && r->first != NULL)
		answer(r, r->first->id, NULL, NULL);
	if (!r->closed && r->notify != NULL)
		r->notify(r->ctx, NULL, NULL);
}

static void
release(struct rpc *r)
{
	if (r->bev != NULL)
		bufferevent_free(r->bev);
	while (r->first != NULL) {
		struct pending *p = r->first;

		r->first = p->next;
		free(p);
	}
	free(r);
}

static void
leave(struct rpc *r)
{
	r->busy = false;
	if (r->closed)
		release(r);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct rpc *r = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t n;
	char *line;

	r->busy = true;
	while (!r->closed && (line = evbuffer_readln(in, &n, EVBUFFER_EOL_LF)) != NULL) {
		json_t *root = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);

		free(line);
		if (root == NULL) {
			log_warn("gateway", "the master's line is no JSON", NULL);
			continue;
		}
		take_message(r, root);
		json_decref(root);
	}
	if (!r->closed && evbuffer_get_length(in) > LINE_MAX_BYTES)
		end(r);
	leave(r);
}

static void
on_end(struct bufferevent *bev, short what, void *arg)
{
	struct rpc *r = arg;
	(void)bev, (void)what;

	r->busy = true;
	end(r);
	leave(r);
}

struct rpc *
rpc_open(struct event_base *base, int fd, rpc_notify_fn *notify, void *ctx, struct err *e)
{
	struct rpc *r = calloc(1, sizeof(*r));
	struct bufferevent *bev = NULL;

	if (r != NULL)
		bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) {
		free(r);
		close(fd);
		err_set(e, "out of memory");
		return NULL;
	}
	*r = (struct rpc){.bev = bev, .notify = notify, .ctx = ctx};
	bufferevent_setcb(bev, on_read, NULL, on_end, r);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	return r;
}

void
rpc_close(struct rpc *r)
{
	if (r == NULL)
		return;
	r->closed = true;
	if (!r->busy)
		release(r);
}

static int
send_call(struct rpc *r, json_int_t id, const char *method, json_t *params)
{
	json_t *root =
	    json_pack("{s:s,s:I,s:s}", "jsonrpc", "2.0", "id", id, "method", method);
	char *line = NULL;
	int rc = -1;

	if (root != NULL &&
	    (params == NULL || json_object_set(root, "params", params) == 0))
		line = json_dumps(root, JSON_COMPACT);
	if (line != NULL)
		rc = evbuffer_add_printf(bufferevent_get_output(r->bev), "%s\n", line) < 0
			 ? -1
			 : 0;
	free(line);
	json_decref(root);
	return rc;
}

json_int_t
rpc_call(struct rpc *r, const char *method, json_t *params, rpc_answer_fn *fn, void *ctx)
{
	struct pending *p = NULL;

	if (r->bev != NULL && r->n_pending < RPC_PENDING_MAX)
		p = malloc(sizeof(*p));
	if (p != NULL && send_call(r, r->last_id + 1, method, params) < 0) {
		free(p);
		p = NULL;
	}
	json_decref(params);
	if (p == NULL)
		return 0;
	*p = (struct pending){r->first, ++r->last_id, fn, ctx};
	r->first = p;
	r->n_pending++;
	return p->id;
}

void
rpc_forget(struct rpc *r, json_int_t id)
{
	for (struct pending *p = r->first; p != NULL; p = p->next)
		if (p->id == id)
			p->answer = NULL;
}
