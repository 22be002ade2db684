/* REMOTE_ADDR, REMOTE_PORT, SERVER_NAME and SERVER_PORT as Python objects, kept per
 * application thread. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/state.h"

#include "worker/net/req.h"

struct peers;

struct peer_names {
	PyObject *host; /* borrowed from the cache, valid until the next call */
	PyObject *port;
};

/* NULL without memory. */
struct peers *peers_create(struct state *st);
void peers_destroy(struct peers *p);

/* -1: exception. */
NODISCARD int peers_client(struct peers *p, const struct req *r, struct peer_names *out);
NODISCARD int peers_server(struct peers *p, const struct req *r, struct peer_names *out);
