/* The atoms of an access-log format: gunicorn's, eventlet's and the server's own.
 * SPDX-License-Identifier: MIT */
#include "worker/net/access_atoms.h"

#include "worker/net/req.h"

#include <arpa/inet.h>
#include <strings.h>

static const struct {
	struct str name;
	struct str reason; /* why the answer did not reach its end */
} outcomes[] = {
    [REQ_OPEN] = {STR("open"), STR("-")},
    [REQ_SENT] = {STR("sent"), STR("-")},
    [REQ_CLIENT_GONE] = {STR("client-gone"), STR("client closed the connection")},
    [REQ_TIMED_OUT] = {STR("timed-out"), STR("timeout")},
    [REQ_APP_FAILED] = {STR("app-failed"), STR("application error")},
    [REQ_STOPPED] = {STR("stopped"), STR("worker stopped")},
    [REQ_REFUSED] = {STR("refused"), STR("-")},
};

static inline uint64_t
count(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

static uint64_t
sent_total(const struct req *r)
{
	return count(&r->counts.out[OUT_HEAD]) + count(&r->counts.out[OUT_BODY]) +
	       count(&r->counts.out[OUT_FRAMING]);
}

static uint64_t
duration_us(const struct req *r)
{
	uint64_t end = count(&r->end_ns);

	return end > r->start_ns ? (end - r->start_ns) / 1000 : 0;
}

static void
put_or_dash(struct text *t, struct str s)
{
	if (s.n == 0)
		text_put_char(t, '-');
	else
		text_put_escaped(t, s);
}

static void
put_known_field(struct text *t, const struct req *r, enum field_id id)
{
	for (uint32_t i = 0; i < r->head.n_fields; i++)
		if (r->head.fields[i].id == id) {
			put_or_dash(t, span_str(r->base, r->head.fields[i].value));
			return;
		}
	text_put_char(t, '-');
}

void
access_atom_field(struct text *t, const struct access_ctx *c, struct str arg)
{
	const struct req *r = c->r;

	for (uint32_t i = 0; i < r->head.n_fields; i++) {
		struct str name = span_str(r->base, r->head.fields[i].name);

		if (name.n == arg.n && strncasecmp(name.p, arg.p, arg.n) == 0) {
			put_or_dash(t, span_str(r->base, r->head.fields[i].value));
			return;
		}
	}
	text_put_char(t, '-');
}

/* inet_ntop is ten times as slow. */
static void
put_ipv4(struct text *t, const unsigned char *ip)
{
	char buf[16], *p = buf;

	for (int i = 0; i < 4; i++) {
		unsigned n = ip[i];

		if (n >= 100)
			*p++ = (char)('0' + n / 100);
		if (n >= 10)
			*p++ = (char)('0' + n / 10 % 10);
		*p++ = (char)('0' + n % 10);
		*p++ = '.';
	}
	text_put(t, buf, (size_t)(p - 1 - buf));
}

static void
put_peer(struct text *t, const struct req *r)
{
	char host[ADDR_TEXT_MAX];

	if (r->peer.sa.sa_family == AF_INET)
		put_ipv4(t, (const unsigned char *)&r->peer.in.sin_addr);
	else
		text_put(t, host, addr_host(&r->peer, host));
}

/* As eventlet: the header without blanks, then the peer. */
static void
put_forwarded(struct text *t, const struct req *r)
{
	for (uint32_t i = 0; i < r->head.n_fields; i++) {
		struct str v = span_str(r->base, r->head.fields[i].value);
		size_t n;

		if (r->head.fields[i].id != FIELD_X_FORWARDED_FOR)
			continue;
		for (v.n = MIN(v.n, (size_t)ACCESS_FIELD_MAX); v.n > 0;
		     v.p += n, v.n -= n) {
			const char *blank = memchr(v.p, ' ', v.n);

			n = blank == NULL ? v.n : (size_t)(blank - v.p);
			text_put_escaped(t, (struct str){v.p, n});
			n += blank != NULL;
		}
		text_put_char(t, ',');
	}
}

static void
atom_client(struct text *t, const struct access_ctx *c, struct str arg)
{
	(void)arg;
	if (c->forwarded_for)
		put_forwarded(t, c->r);
	put_peer(t, c->r);
}

static void
atom_protocol(struct text *t, const struct access_ctx *c, struct str arg)
{
	(void)arg;
	text_put(t, "HTTP/1.", 7);
	text_put_char(t, (char)('0' + c->r->head.version_minor));
}

/* A head that could not be understood has no method: what did come is not repeated. */
static void
atom_request_line(struct text *t, const struct access_ctx *c, struct str arg)
{
	const struct req *r = c->r;

	if (r->head.method.len == 0) {
		text_put_char(t, '-');
		return;
	}
	text_put_escaped(t, span_str(r->base, r->head.method));
	text_put_char(t, ' ');
	put_or_dash(t, span_str(r->base, r->head.target));
	text_put_char(t, ' ');
	atom_protocol(t, c, arg);
}

static void
atom_seconds_fraction(struct text *t, const struct access_ctx *c, struct str arg)
{
	uint64_t us = duration_us(c->r);

	(void)arg;
	text_put_number(t, us / 1000000);
	text_put_char(t, '.');
	text_put_padded(t, us % 1000000, 6);
}

static void
atom_ttfb(struct text *t, const struct access_ctx *c, struct str arg)
{
	uint64_t first = count(&c->r->first_out_ns);

	(void)arg;
	if (first <= c->r->start_ns)
		text_put_char(t, t->json ? '0' : '-');
	else
		text_put_number(t, (first - c->r->start_ns) / 1000);
}

static void
atom_pid(struct text *t, const struct access_ctx *c, struct str arg)
{
	(void)arg;
	text_put_char(t, '<');
	text_put(t, c->pid.p, c->pid.n);
	text_put_char(t, '>');
}

static void
atom_request_id(struct text *t, const struct access_ctx *c, struct str arg)
{
	(void)arg;
	text_put(t, c->pid.p, c->pid.n);
	text_put_char(t, '-');
	text_put_number(t, c->r->serial);
}

static size_t
outcome_index(const struct req *r)
{
	size_t i = (size_t)atomic_load_explicit(&r->outcome, memory_order_relaxed);

	return i < ARRAY_LEN(outcomes) ? i : REQ_OPEN;
}

void
access_atom_acked(struct text *t, const struct access_ctx *c, struct str arg)
{
	(void)arg;
	if (atomic_load_explicit(&c->r->settled, memory_order_relaxed))
		text_put_number(t, count(&c->r->acked));
	else
		text_put_char(t, '\0');
}

/* The small ones: an expression each, of `r` (the request), `c` and the text `t`. */
#define ATOM(name, body)                                                                   \
	static void atom_##name(                                                           \
	    struct text *t, const struct access_ctx *c, struct str arg)                    \
	{                                                                                  \
		const struct req *r = c->r;                                                \
		(void)arg;                                                                 \
		(void)r;                                                                   \
		body;                                                                      \
	}
#define ATOM_NUMBER(name, value) ATOM(name, text_put_number(t, (value)))
#define ATOM_TEXT(name, value) ATOM(name, struct str s = (value); text_put(t, s.p, s.n))

ATOM_TEXT(dash, STR("-"))
ATOM_TEXT(clf_time, c->clf)
ATOM_TEXT(eventlet_time, c->eventlet)
ATOM_TEXT(iso_time, c->iso)
ATOM_TEXT(outcome, outcomes[outcome_index(r)].name)
ATOM_TEXT(reason, outcomes[outcome_index(r)].reason)
ATOM_TEXT(scheme, r->https ? STR("https") : STR("http"))
ATOM(method, put_or_dash(t, span_str(r->base, r->head.method)))
ATOM(path, put_or_dash(t, span_str(r->base, r->head.path)))
ATOM(query, text_put_escaped(t, span_str(r->base, r->head.query)))
ATOM(referer, put_known_field(t, r, FIELD_REFERER))
ATOM(agent, put_known_field(t, r, FIELD_USER_AGENT))
ATOM_NUMBER(status, r->status > 0 ? (uint64_t)r->status : 0)
ATOM_NUMBER(port, addr_port(&r->peer))
ATOM_NUMBER(body, count(&r->counts.out[OUT_BODY]))
ATOM_NUMBER(sent, sent_total(r))
ATOM_NUMBER(in,
    count(&r->counts.in_head) + count(&r->counts.in_body) + count(&r->counts.in_framing))
ATOM_NUMBER(out_head, count(&r->counts.out[OUT_HEAD]))
ATOM_NUMBER(out_framing, count(&r->counts.out[OUT_FRAMING]))
ATOM_NUMBER(in_head, count(&r->counts.in_head))
ATOM_NUMBER(in_framing, count(&r->counts.in_framing))
ATOM_NUMBER(in_body, count(&r->counts.in_body))
ATOM_NUMBER(tls_in, count(&r->counts.in_tls))
ATOM_NUMBER(tls_out, count(&r->counts.out_tls))
ATOM_NUMBER(seconds, duration_us(r) / 1000000)
ATOM_NUMBER(milliseconds, duration_us(r) / 1000)
ATOM_NUMBER(microseconds, duration_us(r))
ATOM_NUMBER(app_us, r->app_ns / 1000)

static const struct {
	struct str name;
	atom_fn *fn;
} atoms[] = {
#define atom_acked access_atom_acked
#undef ATOM
#define ATOM(name, what) {STR(name), atom_##what},
#include "common/access_atoms.def"
#undef ATOM
};

atom_fn *
access_atom_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(atoms); i++)
		if (str_eq(atoms[i].name, name))
			return atoms[i].fn;
	return NULL;
}
