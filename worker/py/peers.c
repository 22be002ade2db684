/* Address objects: a small direct-mapped cache, because connections take turns.
 * SPDX-License-Identifier: MIT */
#include "worker/py/peers.h"

#include <stdio.h>

#define PEERS_KEPT 256
#define LISTENERS_KEPT 16

struct peer {
	struct addr addr;
	struct peer_names names; /* owned here; host NULL: free */
};

struct server {
	const struct listener *listener;
	struct peer_names names; /* owned here */
};

struct peers {
	struct state *st; /* borrowed */
	struct peer peers[PEERS_KEPT];
	struct server servers[LISTENERS_KEPT];
};

struct peers *
peers_create(struct state *st)
{
	struct peers *p = calloc(1, sizeof(*p));

	if (p != NULL)
		p->st = st;
	return p;
}

static void
names_drop(struct peer_names *n)
{
	Py_CLEAR(n->host);
	Py_CLEAR(n->port);
}

void
peers_destroy(struct peers *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < PEERS_KEPT; i++)
		names_drop(&p->peers[i].names);
	for (size_t i = 0; i < LISTENERS_KEPT; i++)
		names_drop(&p->servers[i].names);
	free(p);
}

static bool
same_addr(const struct addr *a, const struct addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_port == b->in.sin_port &&
		       a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return a->sa.sa_family != AF_INET6 ||
	       (a->in6.sin6_port == b->in6.sin6_port &&
		   memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) ==
		       0);
}

static int
names_make(struct peer_names *n, const char *host, size_t host_n, const char *port)
{
	names_drop(n);
	n->host = PyUnicode_DecodeLatin1(host, (Py_ssize_t)host_n, NULL);
	n->port = PyUnicode_FromString(port);
	if (n->host != NULL && n->port != NULL)
		return 0;
	names_drop(n);
	return -1;
}

int
peers_client(struct peers *p, const struct req *r, struct peer_names *out)
{
	const struct addr *a = &r->peer;
	struct peer *e;
	char host[ADDR_TEXT_MAX], port[8];
	size_t n;

	if (a->sa.sa_family == AF_UNIX) {
		*out =
		    (struct peer_names){p->st->keys[KEY_unix_peer], p->st->keys[KEY_empty]};
		return 0;
	}
	/* The port lies in the same place for both families. */
	e = &p->peers[ntohs(a->in.sin_port) % PEERS_KEPT];
	if (e->names.host == NULL || !same_addr(&e->addr, a)) {
		n = addr_host(a, host);
		snprintf(port, sizeof(port), "%u", addr_port(a));
		if (names_make(&e->names, host, n, port) < 0)
			return -1;
		e->addr = *a;
	}
	*out = e->names;
	return 0;
}

int
peers_server(struct peers *p, const struct req *r, struct peer_names *out)
{
	const char *host = req_server_name(r);
	struct server *s = &p->servers[0];

	/* Few listeners, and the place of the last one is reused when there are more. */
	for (size_t i = 0; i < LISTENERS_KEPT; i++) {
		s = &p->servers[i];
		if (s->names.host == NULL || s->listener == r->listener)
			break;
	}
	if (s->names.host == NULL || s->listener != r->listener) {
		if (names_make(&s->names, host, strlen(host), req_server_port(r)) < 0)
			return -1;
		s->listener = r->listener;
	}
	*out = s->names;
	return 0;
}
