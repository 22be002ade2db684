/* The gateway process: what it was given, and its clients. SPDX-License-Identifier: MIT */
#pragma once

#include "common/http/head.h"
#include "master/gateway/rpc.h"

struct bufferevent;
struct event;
struct event_base;
struct http;
struct metrics;
struct streams;

/* Descriptors it starts with, as master/sidecar.h has it: the stream to the master, then
 * clients of the control socket (common/msg.h), a session as observer; the configuration
 * says whether a session for bearers of the token and a listening socket follow. */
enum { GATEWAY_FD_MASTER = 3, GATEWAY_FD_CLIENTS, GATEWAY_FD_OBSERVER, GATEWAY_FD_MORE };

struct gateway {
	struct event_base *base;    /* owned, as all below */
	struct rpc *observer;       /* serves everybody who may only look */
	struct rpc *trusted;        /* for bearers of the token; NULL: no token */
	struct bufferevent *master; /* the configuration comes, then its end */
	struct event *on_client, *on_term;
	struct event *on_listener; /* NULL: clients come by the control socket only */
	struct http *clients;
	unsigned n_clients;
	bool configured;
	struct head_limits limits;
	struct metrics *metrics;
	struct streams *streams;
	char *token;   /* NULL: nobody on TCP is more than an observer */
	json_t *hosts; /* names it answers to on TCP */
};

/* Takes the descriptors over. On failure gateway_close() tidies up. */
NODISCARD int gateway_open(struct gateway *g, struct err *e);
void gateway_close(struct gateway *g);
