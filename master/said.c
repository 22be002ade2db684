/* A pipe with a reader on the loop and the last bytes in a ring. SPDX-License-Identifier:
 * MIT */
#include "master/said.h"

#include <event2/event.h>
#include <fcntl.h>

#define READ_MAX 4096
#define READS_AT_END 64 /* more than a pipe holds */

struct said {
	struct event *readable; /* owned */
	int fds[2];             /* owned */
	int forward;            /* borrowed */
	size_t n;               /* bytes so far */
	char ring[SAID_MAX];
};

/* Returns whether there may be more. */
static bool
read_some(struct said *s)
{
	char buf[READ_MAX];
	ssize_t n = read(s->fds[0], buf, sizeof(buf));

	if (n <= 0)
		return false;
	for (ssize_t i = 0; i < n; i++)
		s->ring[s->n++ % SAID_MAX] = buf[i];
	(void)!write(s->forward, buf, (size_t)n);
	return true;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)read_some(arg);
}

struct said *
said_open(struct event_base *base, int forward, struct err *e)
{
	struct said *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_set(e, "out of memory");
		return NULL;
	}
	s->forward = forward;
	if (pipe2(s->fds, O_CLOEXEC) < 0) {
		err_errno(e, "pipe");
		free(s);
		return NULL;
	}
	/* Only ours: the other end may be a standard error for long. */
	s->readable =
	    fcntl(s->fds[0], F_SETFL, O_NONBLOCK) < 0
		? NULL
		: event_new(base, s->fds[0], EV_READ | EV_PERSIST, on_readable, s);
	if (s->readable != NULL && event_add(s->readable, NULL) == 0)
		return s;
	err_set(e, "out of memory");
	said_close(s);
	return NULL;
}

int
said_fd(const struct said *s)
{
	return s->fds[1];
}

char *
said_take(struct said *s)
{
	size_t begin, n;
	char *text;
	size_t i;

	for (i = 0; i < READS_AT_END && read_some(s); i++)
		;
	n = MIN(s->n, (size_t)SAID_MAX);
	begin = s->n - n;
	/* Not from the middle of a character. */
	while (begin > 0 && n > 0 && (s->ring[begin % SAID_MAX] & 0xC0) == 0x80) {
		begin++;
		n--;
	}
	text = n > 0 ? malloc(n + 1) : NULL;
	if (text == NULL)
		return NULL;
	for (i = 0; i < n; i++) {
		char c = s->ring[(begin + i) % SAID_MAX];

		text[i] = (char)(c != '\0' ? c : '?');
	}
	text[n] = '\0';
	return text;
}

void
said_close(struct said *s)
{
	if (s == NULL)
		return;
	if (s->readable != NULL)
		event_free(s->readable);
	close(s->fds[0]);
	close(s->fds[1]);
	free(s);
}
