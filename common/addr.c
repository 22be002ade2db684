/* A peer's or a listener's address: taken from the kernel, printed for logs and environ.
 * SPDX-License-Identifier: MIT */
#include "common/addr.h"

#include <arpa/inet.h>
#include <stdio.h>

void
addr_from_sockaddr(struct addr *a, const struct sockaddr *sa, socklen_t len)
{
	memset(a, 0, sizeof(*a));
	a->sa.sa_family = AF_UNIX;
	if (sa->sa_family == AF_INET && len >= sizeof(a->in))
		memcpy(&a->in, sa, sizeof(a->in));
	else if (sa->sa_family == AF_INET6 && len >= sizeof(a->in6))
		memcpy(&a->in6, sa, sizeof(a->in6));
}

size_t
addr_host(const struct addr *a, char *buf)
{
	const struct in6_addr *six = &a->in6.sin6_addr;

	switch (a->sa.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &a->in.sin_addr, buf, ADDR_TEXT_MAX);
		break;
	case AF_INET6:
		/* A v4 client of a dual-stack listener is a v4 client to everybody else. */
		if (IN6_IS_ADDR_V4MAPPED(six))
			inet_ntop(AF_INET, &six->s6_addr[12], buf, ADDR_TEXT_MAX);
		else
			inet_ntop(AF_INET6, six, buf, ADDR_TEXT_MAX);
		break;
	default:
		memcpy(buf, "unix", 5);
	}
	return strlen(buf);
}

uint16_t
addr_port(const struct addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohs(a->in.sin_port);
	if (a->sa.sa_family == AF_INET6)
		return ntohs(a->in6.sin6_port);
	return 0;
}

size_t
addr_text(const struct addr *a, char *buf)
{
	char host[ADDR_TEXT_MAX];

	addr_host(a, host);
	if (a->sa.sa_family == AF_UNIX)
		return (size_t)snprintf(buf, ADDR_TEXT_MAX, "unix");
	if (strchr(host, ':') != NULL)
		return (size_t)snprintf(buf, ADDR_TEXT_MAX, "[%.46s]:%u", host, addr_port(a));
	return (size_t)snprintf(buf, ADDR_TEXT_MAX, "%.46s:%u", host, addr_port(a));
}
