/* Whose request it was, three times over: compared with what the connection's last request
 * was counted as before anything is hashed. SPDX-License-Identifier: MIT */
#include "worker/net/top.h"

#include "worker/net/conn.h"
#include "worker/net/req_io.h"

/* Each request runs through these: a call would cost as much as what they do. */
#define ALWAYS inline __attribute__((always_inline))
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

void
top_begin(struct net *net, struct top_memo *m)
{
	for (int by = 0; by < TOPS; by++)
		m->of[by] = &net->top[by].own[0];
	memset(m->life, 0, sizeof(m->life));
	m->no_agent = false;
	m->agent_at = 0;
}

static void
remember(struct conn *c, enum top_by by, const char *key, size_t n)
{
	c->top.of[by] = topk_find(&c->net->top[by], key, n);
	c->top.life[by] = c->top.of[by]->life;
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

/* A connection's client stays the same. */
static bool
is_client(const struct top_memo *m)
{
	return m->of[TOP_CLIENT]->life == m->life[TOP_CLIENT];
}

static void
remember_client(struct conn *c)
{
	char key[TOP_CLIENT_MAX];
	size_t n = client_key(&c->peer, key);

	remember(c, TOP_CLIENT, key, n);
}

/* ---- The host ---- */

/* It is a valid one: behind the brackets of an address a `:` begins the port. */
static struct str
without_port(struct str host)
{
	const char *from = host.p[0] == '[' ? memchr(host.p, ']', host.n) : host.p;
	const char *colon =
	    from == NULL ? NULL : memchr(from, ':', host.n - (size_t)(from - host.p));

	return colon == NULL ? host : (struct str){host.p, (size_t)(colon - host.p)};
}

/* As it was written, with any port. */
static ALWAYS bool
is_host(const struct top_memo *m, const struct req *r)
{
	const struct topk_own *own = m->of[TOP_HOST];
	const struct str host = span_str(r->base, r->head.host);
	const size_t n = own->key_n;

	return own->life == m->life[TOP_HOST] &&
	       (host.n == n || (host.n > n && host.p[n] == ':')) && topk_is(own, host.p, n);
}

static void
remember_host(struct conn *c, const struct req *r)
{
	struct str host = span_str(r->base, r->head.host);
	char lower[TOP_HOST_MAX];

	host = host.n == 0 ? NONE : without_port(host);
	host.n = MIN(host.n, sizeof(lower));
	for (size_t i = 0; i < host.n; i++) {
		char byte = host.p[i];

		lower[i] = byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
	}
	remember(c, TOP_HOST, lower, host.n);
}

/* ---- The user agent ---- */

/* Not inside a character of UTF-8. */
static size_t
cut_at(struct str s, size_t max)
{
	size_t n = max;

	while (n > max - 3 && ((uint8_t)s.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

/* What is counted of it. */
static ALWAYS struct str
agent_of(const struct req *r, const struct field *f)
{
	struct str agent = span_str(r->base, f->value);

	if (UNLIKELY(agent.n > TOP_AGENT_MAX))
		agent.n = cut_at(agent, TOP_AGENT_MAX);
	return agent;
}

static ALWAYS bool
is_agent(const struct top_memo *m, const struct req *r)
{
	const struct topk_own *own = m->of[TOP_AGENT];
	const struct field *f = &r->head.fields[m->agent_at];
	const bool none = !(r->head.seen & 1ull << FIELD_USER_AGENT);
	struct str agent;

	if (own->life != m->life[TOP_AGENT])
		return false;
	if (none || m->no_agent)
		return none && m->no_agent;
	if (m->agent_at >= r->head.n_fields || f->id != FIELD_USER_AGENT)
		return false;
	agent = agent_of(r, f);
	return topk_is(own, agent.p, agent.n);
}

static void
remember_agent(struct conn *c, const struct req *r)
{
	const struct head *h = &r->head;
	struct str agent = {NULL, 0};
	uint32_t at = 0;

	while (at < h->n_fields && h->fields[at].id != FIELD_USER_AGENT)
		at++;
	if (at < h->n_fields) {
		c->top.agent_at = (uint8_t)at;
		agent = agent_of(r, &h->fields[at]);
	}
	c->top.no_agent = at == h->n_fields;
	if (agent.n == 0)
		agent = NONE;
	remember(c, TOP_AGENT, agent.p, agent.n);
}

/* ---- */

static bool
is_error(const struct req *r)
{
	int status = r->taken_over ? r->own_status : r->finished ? r->status : 0;

	return status >= 500 && status < 600;
}

/* Somebody new, or something new of the same one. */
static __attribute__((noinline)) void
count_new(const struct req *r)
{
	struct conn *c = r->conn;
	const bool error = is_error(r);
	uint64_t bytes;

	/* Without a head there was no request; the server's own questions are nobody's. */
	if (c->own || (!r->head_whole && !r->taken_over))
		return;
	bytes = req_wire_out(r);
	if (!is_client(&c->top))
		remember_client(c);
	topk_add(c->top.of[TOP_CLIENT], bytes, error);
	/* A head that was refused may have no fields to look at. */
	if (!r->head_whole)
		return;
	if (!is_host(&c->top, r))
		remember_host(c, r);
	topk_add(c->top.of[TOP_HOST], bytes, error);
	if (!is_agent(&c->top, r))
		remember_agent(c, r);
	topk_add(c->top.of[TOP_AGENT], bytes, error);
}

void
top_count(const struct req *r)
{
	const struct top_memo *m = &r->conn->top;

	if (LIKELY(r->app_started && !r->conn->own && is_client(m) && is_host(m, r) &&
		   is_agent(m, r))) {
		const uint64_t bytes = req_wire_out(r);

		topk_add(m->of[TOP_CLIENT], bytes, false);
		topk_add(m->of[TOP_HOST], bytes, false);
		topk_add(m->of[TOP_AGENT], bytes, false);
		if (UNLIKELY(is_error(r)))
			for (int by = 0; by < TOPS; by++)
				topk_grow(&m->of[by]->entry->errors, 1);
		return;
	}
	count_new(r);
}
