/* gunicorn's way of writing a statsd server's address. SPDX-License-Identifier: MIT */
#include "common/statsd_addr.h"

#include <stdio.h>
#include <sys/un.h>

#define UNIX_SCHEME "unix://"
#define PORT_DEFAULT "8125"

static int
wrong(struct err *e, const char *text)
{
	return err_set(e,
	    "--statsd-host \"%.100s\": expected HOST:PORT, as in localhost:8125, or "
	    "unix://PATH",
	    text);
}

static bool
is_port(const char *p)
{
	size_t n = strspn(p, "0123456789");

	return n > 0 && n <= 5 && p[n] == '\0' && strtol(p, NULL, 10) > 0 &&
	       strtol(p, NULL, 10) <= 65535;
}

int
statsd_addr_parse(struct statsd_addr *a, const char *text, struct err *e)
{
	bool bracket = text[0] == '[';
	const char *host = text + bracket, *end, *port;

	*a = (struct statsd_addr){.path = NULL};
	if (strncmp(text, UNIX_SCHEME, strlen(UNIX_SCHEME)) == 0) {
		a->path = text + strlen(UNIX_SCHEME);
		return a->path[0] == '/' &&
			       strlen(a->path) < sizeof(((struct sockaddr_un *)0)->sun_path)
			   ? 0
			   : wrong(e, text);
	}
	end = bracket ? strchr(host, ']') : host + strcspn(host, ":");
	if (end == NULL || end == host || (size_t)(end - host) >= sizeof(a->host))
		return wrong(e, text);
	port = end + bracket;
	if (*port == '\0')
		port = ":" PORT_DEFAULT;
	if (*port != ':' || !is_port(port + 1))
		return wrong(e, text);
	memcpy(a->host, host, (size_t)(end - host));
	snprintf(a->port, sizeof(a->port), "%s", port + 1);
	return 0;
}

bool
statsd_text_is_safe(const char *text, size_t max)
{
	size_t n = strlen(text);

	if (n > max)
		return false;
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] == 0x7f || text[i] == '|' || text[i] == '@' ||
		    text[i] == '#')
			return false;
	return true;
}
