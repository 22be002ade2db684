/* The rules for HTTP clients. A port, also the near end of an `ssh -L` to the control
 * socket, is open to every page a browser on that machine shows.
 * SPDX-License-Identifier: MIT */
#include "master/gateway/guard.h"

#include "master/gateway/gateway.h"

#include <stdio.h>
#include <strings.h>

#define BEARER "Bearer "
#define CONTROL_HOST "shoal"

/* Without its port, and without the brackets of an IPv6 address. */
static struct str
name_of(struct str host)
{
	const char *end;

	if (host.n > 0 && host.p[0] == '[') {
		end = memchr(host.p, ']', host.n);
		return end ? (struct str){host.p + 1, (size_t)(end - host.p - 1)} : host;
	}
	end = memchr(host.p, ':', host.n);
	return end ? (struct str){host.p, (size_t)(end - host.p)} : host;
}

/* A page of another name that leads here (DNS rebinding) gives itself away by Host. */
static bool
host_is_ours(const struct http *h)
{
	struct str host = span_str(h->bytes, h->head.host);
	json_t *one;
	size_t i;

	/* HTTP/1.0; a browser always has one. */
	if (host.n == 0)
		return !h->tcp;
	host = name_of(host);
	/* What curl --unix-socket is told by the manual; no address leads there by itself.
	 */
	if (!h->tcp && str_eq(host, STR(CONTROL_HOST)))
		return true;
	json_array_foreach(h->gateway->hosts, i,
	    one) if (json_string_length(one) == host.n &&
		     strncasecmp(json_string_value(one), host.p, host.n) == 0) return true;
	return false;
}

/* What a browser sends along when another site's page asks. */
static bool
origin_fits(const struct http *h)
{
	static const char *const schemes[] = {"http://", "https://"};
	struct str origin = http_field(h, "Origin");
	struct str host = span_str(h->bytes, h->head.host);

	if (origin.p == NULL)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		const size_t n = strlen(schemes[i]);

		if (origin.n == n + host.n && memcmp(origin.p, schemes[i], n) == 0 &&
		    memcmp(origin.p + n, host.p, host.n) == 0)
			return true;
	}
	return false;
}

/* In a time that does not tell how much of it was right. */
static bool
token_fits(const struct http *h)
{
	const char *token = h->gateway->token;
	struct str given = http_field(h, "Authorization");
	const size_t prefix = strlen(BEARER);
	unsigned char wrong = 0;

	if (token == NULL || given.n != prefix + strlen(token) ||
	    strncasecmp(given.p, BEARER, prefix) != 0)
		return false;
	for (size_t i = prefix; i < given.n; i++)
		wrong |= (unsigned char)given.p[i] ^ (unsigned char)token[i - prefix];
	return wrong == 0;
}

/* A form of another site cannot send this type without asking first. */
static bool
body_is_json(const struct http *h)
{
	struct str type = http_field(h, "Content-Type");
	static const char json[] = "application/json";
	const size_t n = sizeof(json) - 1;

	return h->body_n == 0 || (type.n >= n && strncasecmp(type.p, json, n) == 0 &&
				     (type.n == n || type.p[n] == ';' || type.p[n] == ' '));
}

static void
refuse(struct http *h, int status, const char *why)
{
	http_answer(h, status, "text/plain", NULL, why, strlen(why));
}

bool
guard_admits(struct http *h)
{
	if (!body_is_json(h)) {
		refuse(h, 415, "a body must be application/json\n");
		return false;
	}
	if (!host_is_ours(h)) {
		refuse(h, 421, "not a name of this gateway: see --gateway-host\n");
		return false;
	}
	if (!origin_fits(h)) {
		refuse(h, 403, "pages of other sites may not ask here\n");
		return false;
	}
	if (h->tcp)
		h->role = token_fits(h) ? CTL_OPERATOR : CTL_OBSERVER;
	return true;
}

void
guard_deny(struct http *h, enum ctl_role needs)
{
	char why[96];
	json_t *body;

	snprintf(why, sizeof(why), "this needs the role %s", ctl_role_name(needs));
	if (!h->tcp || h->gateway->token == NULL || h->role > CTL_OBSERVER) {
		http_fail(h, CTL_E_PERMISSION_DENIED, why);
		return;
	}
	body = json_pack("{s:{s:i,s:s,s:{s:s,s:s,s:s}}}", "error", "code",
	    ctl_errors[CTL_E_PERMISSION_DENIED].code, "message", why, "data", "kind",
	    ctl_errors[CTL_E_PERMISSION_DENIED].kind, "role", ctl_role_name(h->role),
	    "needs", ctl_role_name(needs));
	http_answer_json(h, 401, "WWW-Authenticate: Bearer\r\n", body);
	json_decref(body);
}
