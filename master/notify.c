/* Tells systemd how the service is doing: one datagram per state, as sd_notify(3) writes
 * it. SPDX-License-Identifier: MIT */
#include "master/notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un where;
static socklen_t where_len; /* 0: nobody to tell */

void
notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	if (n > 1 && n < sizeof(where.sun_path) && (path[0] == '/' || path[0] == '@')) {
		where.sun_family = AF_UNIX;
		memcpy(where.sun_path, path, n);
		if (path[0] == '@')
			where.sun_path[0] = '\0';
		/* An abstract address has no terminating NUL: its length is its end. */
		where_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	}
	unsetenv("NOTIFY_SOCKET");
}

void
notify_send(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	if (where_len == 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0) {
		AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (fd >= 0)
			(void)!sendto(fd, text, MIN((size_t)n, sizeof(text) - 1),
			    MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&where,
			    where_len);
	}
}
