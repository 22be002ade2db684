/* One --bind address, taken apart without asking the resolver.
 * SPDX-License-Identifier: MIT */
#include "common/bind.h"

#include "common/conf_value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <stdio.h>

#define PORT_DEFAULT 8000

static int
parse_unix(struct bind_addr *b, const char *path, struct err *e)
{
	/* "unix://" is how some write an absolute path. */
	if (strncmp(path, "///", 3) == 0)
		path += 2;
	if (*path == '\0')
		return err_set(e, "expected a path after unix:");
	if (strlen(path) >= sizeof(b->path))
		return err_set(e, "expected a path of at most %zu bytes after unix:",
		    sizeof(b->path) - 1);
	b->kind = BIND_UNIX;
	snprintf(b->path, sizeof(b->path), "%s", path);
	return 0;
}

static int
parse_fd(struct bind_addr *b, const char *number, struct err *e)
{
	int64_t fd;

	if (conf_value_int(number, &fd) != 0 || fd < 0 || fd > INT_MAX)
		return err_set(e, "expected the number of an open descriptor after fd://");
	b->kind = BIND_FD;
	b->fd = (int)fd;
	return 0;
}

static int
parse_port(struct bind_addr *b, const char *text, struct err *e)
{
	int64_t port;

	if (conf_value_int(text, &port) != 0 || port < 0 || port > 65535)
		return err_set(e, "expected a port from 0 to 65535 after the last colon");
	b->port = (uint16_t)port;
	return 0;
}

static int
set_host(struct bind_addr *b, struct str host, struct err *e)
{
	for (size_t i = 0; i < host.n; i++)
		if (!isalnum((unsigned char)host.p[i]) && !strchr(".-_", host.p[i]))
			return err_set(
			    e, "expected a host name or address before the port");
	if (host.n >= sizeof(b->host))
		return err_set(
		    e, "expected a host name of at most %zu bytes", sizeof(b->host) - 1);
	memcpy(b->host, host.p, host.n);
	b->host[host.n] = '\0';
	return 0;
}

static int
parse_v6(struct bind_addr *b, const char *text, struct err *e)
{
	const char *end = strchr(text, ']');
	char literal[INET6_ADDRSTRLEN + 1];
	struct in6_addr six;
	size_t n;

	if (end == NULL || (end[1] != ':' && end[1] != '\0'))
		return err_set(e, "expected [IPV6]:PORT");
	n = MIN((size_t)(end - text - 1), sizeof(literal) - 1);
	memcpy(literal, text + 1, n);
	literal[n] = '\0';
	/* A zone ("fe80::1%eth0") is for the resolver; the rest must be an address. */
	snprintf(b->host, sizeof(b->host), "%.*s", (int)MIN(end - text - 1, 255), text + 1);
	literal[strcspn(literal, "%")] = '\0';
	if (end - text - 1 >= (ptrdiff_t)sizeof(b->host) ||
	    inet_pton(AF_INET6, literal, &six) != 1)
		return err_set(e, "expected an IPv6 address between the brackets");
	return end[1] == ':' ? parse_port(b, end + 2, e) : 0;
}

int
bind_parse(struct bind_addr *b, const char *text, struct err *e)
{
	const char *colon;

	*b = (struct bind_addr){.kind = BIND_TCP, .port = PORT_DEFAULT, .fd = -1};
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(b, text + 5, e);
	if (strncmp(text, "fd://", 5) == 0)
		return parse_fd(b, text + 5, e);
	if (strncmp(text, "tcp://", 6) == 0)
		text += 6;
	if (*text == '\0')
		return err_set(
		    e, "expected HOST:PORT, :PORT, [V6]:PORT, unix:PATH or fd://N");
	if (*text == '[')
		return parse_v6(b, text, e);
	colon = strchr(text, ':');
	if (colon == NULL)
		return set_host(b, str_of(text), e);
	if (strchr(colon + 1, ':') != NULL)
		return err_set(e, "expected an IPv6 address in brackets, as [::1]:8000");
	if (parse_port(b, colon + 1, e) != 0)
		return -1;
	return set_host(b, (struct str){text, (size_t)(colon - text)}, e);
}
