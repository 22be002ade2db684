/* Recognises the form of a request target and validates its bytes.
 * SPDX-License-Identifier: MIT */
#include "common/http/target.h"

#include "common/http/chars.h"
#include "common/http/host.h"

static int
refuse(struct head *h, int status, const char *reason)
{
	h->reason = reason;
	return status;
}

/* Path and query; a fragment is the client's own business and never sent (RFC 9112 3.2). */
static int
path_parse(struct head *h, const char *base, struct str s)
{
	size_t path_len = s.n;

	for (size_t i = 0; i < s.n; i++) {
		if (LIKELY(chars_is(s.p[i], CHAR_TARGET)))
			continue;
		if (s.p[i] == '?') {
			path_len = MIN(path_len, i);
			continue;
		}
		if (s.p[i] != '%')
			return refuse(h, 400, "byte not allowed in the request target");
		if (s.n - i < 3 || !chars_is(s.p[i + 1], CHAR_HEX) ||
		    !chars_is(s.p[i + 2], CHAR_HEX)) {
			/* Browsers send "?q=100%" as it was typed (URL Standard, query
			 * state), and nobody here decodes a query. */
			if (i > path_len)
				continue;
			return refuse(h, 400, "malformed % escape in the request target");
		}
		if (s.p[i + 1] == '0' && s.p[i + 2] == '0')
			return refuse(h, 400, "%00 in the request target");
		i += 2;
	}
	h->path = (struct span){(uint32_t)(s.p - base), (uint32_t)path_len};
	if (path_len < s.n) {
		h->has_query = true;
		h->query = (struct span){(uint32_t)(s.p - base) + (uint32_t)path_len + 1,
		    (uint32_t)(s.n - path_len) - 1};
	}
	return 0;
}

static size_t
scheme_length(struct str s)
{
	if (s.n >= 7 && chars_equal_nocase((struct str){s.p, 7}, STR("http://")))
		return 7;
	if (s.n >= 8 && chars_equal_nocase((struct str){s.p, 8}, STR("https://")))
		return 8;
	return 0;
}

static int
absolute_parse(struct head *h, const char *base, struct str s, size_t scheme_len)
{
	struct str authority = {s.p + scheme_len, s.n - scheme_len};
	size_t n = 0;

	while (n < authority.n && authority.p[n] != '/' && authority.p[n] != '?')
		n++;
	authority.n = n;
	if (!host_valid(authority)) {
		h->bad_host = true;
		return refuse(h, 400, "malformed authority in the request target");
	}
	h->form = TARGET_ABSOLUTE;
	h->host = (struct span){(uint32_t)(authority.p - base), (uint32_t)n};
	return path_parse(h, base, (struct str){authority.p + n, s.n - scheme_len - n});
}

int
target_parse(struct head *h, const char *base, struct str s)
{
	struct str method = span_str(base, h->method);
	size_t scheme_len;

	/* A CONNECT never reaches the application, whatever its target is. */
	if (UNLIKELY(str_eq(method, STR("CONNECT")))) {
		h->form = TARGET_AUTHORITY;
		if (!host_valid(s))
			return refuse(h, 400, "malformed authority after CONNECT");
		return refuse(h, 501, "CONNECT is not implemented");
	}
	if (s.n > 0 && s.p[0] == '/') {
		h->form = TARGET_ORIGIN;
		return path_parse(h, base, s);
	}
	scheme_len = scheme_length(s);
	if (scheme_len)
		return absolute_parse(h, base, s, scheme_len);
	if (!str_eq(s, STR("*")))
		return refuse(h, 400, "request target of no known form");
	if (!str_eq(method, STR("OPTIONS")))
		return refuse(h, 400, "* as target of a method other than OPTIONS");
	h->form = TARGET_ASTERISK;
	h->path = h->target;
	return 0;
}
