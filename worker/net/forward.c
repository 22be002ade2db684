/* What a trusted reverse proxy says about the client's own connection.
 * SPDX-License-Identifier: MIT */
#include "worker/net/forward.h"

#include "worker/net/req.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

#define TRUSTED_MAX 64

/* IPv4 as v4-mapped IPv6, so that there is one comparison. */
struct network {
	struct in6_addr addr;
	unsigned bits;
};

static struct network trusted[TRUSTED_MAX];
static size_t n_trusted;
static bool trust_all;

/* gunicorn's secure_scheme_headers */
static const struct {
	enum field_id id;
	const char *secure;
} schemes[] = {
    {FIELD_X_FORWARDED_PROTO, "https"},
    {FIELD_X_FORWARDED_PROTOCOL, "ssl"},
    {FIELD_X_FORWARDED_SSL, "on"},
};

static void
map_v4(struct in6_addr *six, const void *four)
{
	memset(six, 0, sizeof(*six));
	six->s6_addr[10] = six->s6_addr[11] = 0xff;
	memcpy(&six->s6_addr[12], four, 4);
}

static int
network_parse(struct network *n, const char *text)
{
	char host[ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	struct in_addr four;
	unsigned max = 128, skip = 0;
	char *end;

	if (len == 0 || len >= sizeof(host))
		return -1;
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(AF_INET, host, &four) == 1) {
		map_v4(&n->addr, &four);
		max = 32;
		skip = 96;
	} else if (inet_pton(AF_INET6, host, &n->addr) != 1) {
		return -1;
	}
	n->bits = max;
	if (slash != NULL) {
		unsigned long bits = strtoul(slash + 1, &end, 10);

		if (end == slash + 1 || *end != '\0' || bits > max)
			return -1;
		n->bits = (unsigned)bits;
	}
	n->bits += skip;
	return 0;
}

int
forward_init(const char *list, struct err *e)
{
	AUTO_FREE char *copy = strdup(list != NULL ? list : "");
	char *save = NULL;

	n_trusted = 0;
	trust_all = false;
	if (copy == NULL)
		return err_set(e, "forwarded-allow-ips: out of memory");
	for (char *t = strtok_r(copy, ", ", &save); t != NULL;
	     t = strtok_r(NULL, ", ", &save)) {
		if (strcmp(t, "*") == 0) {
			trust_all = true;
			continue;
		}
		if (n_trusted == TRUSTED_MAX)
			return err_set(
			    e, "forwarded-allow-ips: more than %d entries", TRUSTED_MAX);
		if (network_parse(&trusted[n_trusted], t) < 0)
			return err_set(e,
			    "forwarded-allow-ips: `%s` is no address, network or `*`", t);
		n_trusted++;
	}
	return 0;
}

static bool
in_network(const struct in6_addr *a, const struct network *n)
{
	const unsigned whole = n->bits / 8, rest = n->bits % 8;
	const uint8_t mask = (uint8_t)(0xff00u >> rest);

	if (memcmp(a->s6_addr, n->addr.s6_addr, whole) != 0)
		return false;
	return rest == 0 || ((a->s6_addr[whole] ^ n->addr.s6_addr[whole]) & mask) == 0;
}

static bool
peer_trusted(const struct addr *peer)
{
	struct in6_addr six;

	/* Who may write to the unix socket was decided by its mode. */
	if (trust_all || peer->sa.sa_family == AF_UNIX)
		return true;
	if (peer->sa.sa_family == AF_INET)
		map_v4(&six, &peer->in.sin_addr);
	else
		six = peer->in6.sin6_addr;
	for (size_t i = 0; i < n_trusted; i++)
		if (in_network(&six, &trusted[i]))
			return true;
	return false;
}

void
forward_apply(struct req *r)
{
	uint64_t wanted = 0;

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		wanted |= 1ull << schemes[i].id;
	if (r->tls || LIKELY((r->head.seen & wanted) == 0) || !peer_trusted(&r->peer))
		return;
	for (uint32_t i = 0; i < r->head.n_fields; i++) {
		const struct field *f = &r->head.fields[i];
		struct str v = span_str(r->base, f->value);

		for (size_t k = 0; k < ARRAY_LEN(schemes); k++)
			if (f->id == schemes[k].id && v.n == strlen(schemes[k].secure) &&
			    strncasecmp(v.p, schemes[k].secure, v.n) == 0)
				r->https = true;
	}
}
