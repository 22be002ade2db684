/* Whose request it was, three times over: compared with what the connection's last request
 * was counted as before anything is hashed. SPDX-License-Identifier: MIT */
#include "worker/net/top.h"

#include "worker/net/conn.h"
#include "worker/net/req_io.h"

/* Of a request that does not say. */
#define NONE STR("-")

int
top_init(struct net *net, struct err *e)
{
	for (int by = 0; by < TOPS; by++)
		if (topk_init(&net->top[by], seg_top(net->seg, (enum top_by)by), e) < 0)
			return -1;
	return 0;
}

/* ---- The client ---- */

/* Of an IPv6 network's 2^64 addresses one client may use any. Where there is nothing but
 * neighbours the address says more. */
static size_t
ipv6_key(const struct in6_addr *six, char to[TOP_CLIENT_MAX])
{
	if (IN6_IS_ADDR_V4MAPPED(six)) {
		memcpy(to, six->s6_addr + 12, 4);
		return 4;
	}
	memcpy(to, six->s6_addr, 16);
	return IN6_IS_ADDR_LOOPBACK(six) || IN6_IS_ADDR_LINKLOCAL(six) ? 16 : 8;
}

/* 4 bytes: an IPv4 address, 8: an IPv6 network, 16: an IPv6 address, 1: a UNIX socket. */
static size_t
client_key(const struct addr *a, char to[TOP_CLIENT_MAX])
{
	switch (a->sa.sa_family) {
	case AF_INET:
		memcpy(to, &a->in.sin_addr, 4);
		return 4;
	case AF_INET6:
		return ipv6_key(&a->in6.sin6_addr, to);
	default:
		to[0] = 'u';
		return 1;
	}
}

static void
remember(struct conn *c, enum top_by by, struct str key)
{
	struct topk *t = &c->net->top[by];
	struct top_memo *m = &c->top;

	m->entry[by] = (uint16_t)topk_find(t, key.p, key.n);
	m->life[by] = t->own[m->entry[by]].life;
}

static void
find_client(struct conn *c)
{
	const struct topk *t = &c->net->top[TOP_CLIENT];
	char key[TOP_CLIENT_MAX];

	/* A connection's client stays the same. */
	if (UNLIKELY(t->own[c->top.entry[TOP_CLIENT]].life != c->top.life[TOP_CLIENT]))
		remember(c, TOP_CLIENT, (struct str){key, client_key(&c->peer, key)});
}

/* ---- The host ---- */

static bool
is_last(const struct conn *c, enum top_by by, struct str key)
{
	return topk_is(&c->net->top[by], c->top.entry[by], c->top.life[by], key);
}

/* It is a valid one: behind the brackets of an address a `:` begins the port. */
static struct str
without_port(struct str host)
{
	const char *from = host.p[0] == '[' ? memchr(host.p, ']', host.n) : host.p;
	const char *colon =
	    from == NULL ? NULL : memchr(from, ':', host.n - (size_t)(from - host.p));

	return colon == NULL ? host : (struct str){host.p, (size_t)(colon - host.p)};
}

static void
remember_host(struct conn *c, struct str host)
{
	char lower[TOP_HOST_MAX];

	host = without_port(host);
	host.n = MIN(host.n, sizeof(lower));
	for (size_t i = 0; i < host.n; i++) {
		char byte = host.p[i];

		lower[i] = byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
	}
	remember(c, TOP_HOST, (struct str){lower, host.n});
}

static void
find_host(struct conn *c, const struct req *r)
{
	const uint32_t last_n = c->net->top[TOP_HOST].own[c->top.entry[TOP_HOST]].key_n;
	struct str host = span_str(r->base, r->head.host), key = host;

	if (host.n == 0)
		host = key = NONE;
	if (host.n > last_n && host.p[last_n] == ':')
		key.n = last_n;
	if (UNLIKELY(!is_last(c, TOP_HOST, key)))
		remember_host(c, host);
}

/* ---- The user agent ---- */

static struct str
agent_of(struct conn *c, const struct req *r)
{
	const struct head *h = &r->head;
	uint32_t at = c->top.agent_at;

	if (!(h->seen & 1ull << FIELD_USER_AGENT))
		return NONE;
	if (at >= h->n_fields || h->fields[at].id != FIELD_USER_AGENT) {
		for (at = 0; at < h->n_fields; at++)
			if (h->fields[at].id == FIELD_USER_AGENT)
				break;
		if (at == h->n_fields)
			return NONE;
		c->top.agent_at = (uint8_t)at;
	}
	return h->fields[at].value.len == 0 ? NONE : span_str(r->base, h->fields[at].value);
}

/* Not inside a character of UTF-8. */
static size_t
cut_at(struct str s, size_t max)
{
	size_t n = max;

	while (n > max - 3 && ((uint8_t)s.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static void
find_agent(struct conn *c, const struct req *r)
{
	struct str agent = agent_of(c, r);

	if (UNLIKELY(agent.n > TOP_AGENT_MAX))
		agent.n = cut_at(agent, TOP_AGENT_MAX);
	if (UNLIKELY(!is_last(c, TOP_AGENT, agent)))
		remember(c, TOP_AGENT, agent);
}

/* ---- */

static bool
is_error(const struct req *r)
{
	int status = r->taken_over ? r->own_status : r->finished ? r->status : 0;

	return status >= 500 && status < 600;
}

void
top_count(const struct req *r)
{
	struct conn *c = r->conn;
	const bool error = is_error(r);
	uint64_t bytes;

	/* Without a head there was no request; the server's own questions are nobody's. */
	if (c->own || (!r->app_started && !r->taken_over && !r->finished))
		return;
	bytes = req_wire_out(r);
	find_client(c);
	topk_add(&c->net->top[TOP_CLIENT], c->top.entry[TOP_CLIENT], bytes, error);
	/* A head that was refused may have no fields to look at. */
	if (atomic_load_explicit(&r->counts.in_head, memory_order_relaxed) == 0)
		return;
	find_host(c, r);
	topk_add(&c->net->top[TOP_HOST], c->top.entry[TOP_HOST], bytes, error);
	find_agent(c, r);
	topk_add(&c->net->top[TOP_AGENT], c->top.entry[TOP_AGENT], bytes, error);
}
