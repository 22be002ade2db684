/* Validates the host of a Host field or an authority.
 * SPDX-License-Identifier: MIT */
#include "common/http/host.h"

#include <arpa/inet.h>

#include "common/http/chars.h"

#define PORT_MAX 65535

static bool
port_valid(struct str s)
{
	uint64_t port = 0;

	return s.n == 0 || (chars_decimal(s, &port) && port <= PORT_MAX);
}

/* s starts with `[`. Only IPv6 addresses: nobody has ever defined an IPvFuture. */
static bool
literal_valid(struct str s)
{
	const char *close = memchr(s.p, ']', s.n);
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;
	size_t n;

	if (!close)
		return false;
	n = (size_t)(close - s.p) - 1;
	if (n >= sizeof(text) || memchr(s.p, '\0', s.n))
		return false;
	memcpy(text, s.p + 1, n);
	text[n] = '\0';
	if (inet_pton(AF_INET6, text, &addr) != 1)
		return false;
	s.n -= n + 2;
	if (s.n == 0)
		return true;
	return close[1] == ':' && port_valid((struct str){close + 2, s.n - 1});
}

bool
host_valid(struct str s)
{
	size_t i = 0;

	if (s.n == 0)
		return false;
	if (s.p[0] == '[')
		return literal_valid(s);
	for (; i < s.n; i++) {
		if (LIKELY(chars_is(s.p[i], CHAR_HOST)))
			continue;
		if (s.p[i] != '%')
			break;
		if (s.n - i < 3 || !chars_is(s.p[i + 1], CHAR_HEX) ||
		    !chars_is(s.p[i + 2], CHAR_HEX))
			return false;
		if (s.p[i + 1] == '0' && s.p[i + 2] == '0')
			return false;
		i += 2;
	}
	if (i == s.n)
		return true;
	return i > 0 && s.p[i] == ':' && port_valid((struct str){s.p + i + 1, s.n - i - 1});
}
