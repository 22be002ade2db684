/* The client of a self-check: one end of a socket pair on the worker's own loop.
 * SPDX-License-Identifier: MIT */
#include "worker/net/selfcheck.h"

#include "common/conf.h"
#include "worker/net/conn.h"
#include "worker/net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define PATH_LONGEST 8000
#define DEFAULT_TIMEOUT_MS 10000

#define STATUS_LINE "HTTP/1.1 200" /* as much of it as is needed */

struct selfcheck {
	struct selfcheck *prev, *next; /* net->selfchecks */
	struct net *net;               /* borrowed */
	selfcheck_done_fn *done;       /* NULL: was called */
	int64_t timeout_ms;
	int fd; /* owned */
	struct event readable, late;
	size_t n;
	char line[sizeof(STATUS_LINE)];
};

static void
tell(struct selfcheck *s, unsigned status, const char *why)
{
	selfcheck_done_fn *done = s->done;

	s->done = NULL;
	if (done != NULL)
		done(status, str_of(why));
}

static void
selfcheck_destroy(struct selfcheck *s)
{
	event_del(&s->readable);
	event_del(&s->late);
	close(s->fd);
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		s->net->selfchecks = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	free(s);
}

/* 0: it is none. */
static unsigned
status_of(const char *line)
{
	unsigned status = 0;

	if (memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ')
		return 0;
	for (int i = 9; i < 12; i++) {
		if (line[i] < '0' || line[i] > '9')
			return 0;
		status = status * 10 + (unsigned)(line[i] - '0');
	}
	return status;
}

static void
take_line(struct selfcheck *s, const char *p, size_t n)
{
	const size_t wanted = sizeof(STATUS_LINE) - 1;
	unsigned status;

	n = MIN(n, wanted - s->n);
	memcpy(s->line + s->n, p, n);
	s->n += n;
	if (s->n < wanted || s->done == NULL)
		return;
	status = status_of(s->line);
	tell(s, status, status == 0 ? "the answer is not HTTP" : "");
}

/* The rest of the answer is read as well: to the application it is a client like others,
 * and none that leaves early. */
static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct selfcheck *s = arg;
	ssize_t got = recv(fd, s->net->scratch, sizeof(s->net->scratch), MSG_DONTWAIT);

	(void)what;
	if (got > 0) {
		take_line(s, s->net->scratch, (size_t)got);
		return;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	tell(s, 0, "the connection ended without an answer");
	selfcheck_destroy(s);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	struct selfcheck *s = arg;
	char why[64];

	(void)fd;
	(void)what;
	snprintf(why, sizeof(why), "no answer within %g s", (double)s->timeout_ms / 1000);
	tell(s, 0, why);
	selfcheck_destroy(s);
}

static void
watch(struct selfcheck *s)
{
	const struct timeval after = {
	    .tv_sec = s->timeout_ms / 1000, .tv_usec = s->timeout_ms % 1000 * 1000};

	event_assign(&s->readable, s->net->base, s->fd, EV_READ | EV_PERSIST, on_answer, s);
	event_assign(&s->late, s->net->base, -1, 0, on_late, s);
	event_add(&s->readable, NULL);
	event_add(&s->late, &after);
	s->next = s->net->selfchecks;
	if (s->next != NULL)
		s->next->prev = s;
	s->net->selfchecks = s;
}

/* NULL: it may be asked for. */
static const char *
bad_path(struct str path)
{
	if (path.n == 0 || path.p[0] != '/')
		return "a path begins with /";
	if (path.n > PATH_LONGEST)
		return "the path is too long";
	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] <= ' ' || path.p[i] > '~')
			return "a path has printable ASCII characters only, and no space";
	return NULL;
}

/* The request into one end; false: the socket pair did not take it. */
static bool
ask(int fd, struct str path)
{
	char text[PATH_LONGEST + 128];
	int n = snprintf(text, sizeof(text),
	    "GET %.*s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: shoal-check\r\n"
	    "Connection: close\r\n\r\n",
	    (int)path.n, path.p);

	return send(fd, text, (size_t)n, MSG_NOSIGNAL) == n;
}

/* As who asks: what comes by a listener of its kind from this machine. */
static struct addr
own_address(const struct listener *l)
{
	const struct sockaddr_in here = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct sockaddr nameless = {.sa_family = AF_UNIX};
	struct addr a;

	if (l->is_unix)
		addr_from_sockaddr(&a, &nameless, sizeof(nameless.sa_family));
	else
		addr_from_sockaddr(&a, (const struct sockaddr *)&here, sizeof(here));
	return a;
}

static const char *
open_check(struct net *net, struct str path, selfcheck_done_fn *done)
{
	const int64_t ms = net->conf->timeout;
	struct selfcheck *s;
	struct addr peer;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return "no socket pair: out of descriptors or memory";
	s = calloc(1, sizeof(*s));
	if (s == NULL || !ask(pair[0], path)) {
		free(s);
		close(pair[0]);
		close(pair[1]);
		return "out of memory";
	}
	s->net = net;
	s->done = done;
	s->timeout_ms = ms > 0 ? ms : DEFAULT_TIMEOUT_MS;
	s->fd = pair[0];
	watch(s);
	peer = own_address(&net->listeners[0]);
	conn_accept(&net->listeners[0], pair[1], &peer, true);
	return NULL;
}

void
selfcheck_start(struct net *net, struct str path, selfcheck_done_fn *done)
{
	const char *why = bad_path(path);

	if (why == NULL && net->n_listeners == 0)
		why = "the worker has no listener";
	if (why == NULL)
		why = open_check(net, path, done);
	if (why != NULL)
		done(0, str_of(why));
}

void
selfchecks_finish(struct net *net)
{
	while (net->selfchecks != NULL)
		selfcheck_destroy(net->selfchecks);
}
