/* The socket to a statsd server. SPDX-License-Identifier: MIT */
#include "master/statsd.h"

#include "common/statsd_addr.h"
#include "master/accept_queue.h"
#include "master/master.h"
#include "master/minder.h"

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

struct statsd {
	struct master *m; /* borrowed */
	int fd;           /* owned */
	union {
		struct sockaddr sa;
		struct sockaddr_un un;
		struct sockaddr_storage any;
	} to;
	socklen_t to_n;
	bool primed;                 /* last is known */
	struct totals_snapshot last; /* as it was told */
	char prefix[256];
	const char *tags; /* borrowed of the configuration the master began with */
};

static void
on_full(void *ctx, const char *p, size_t n)
{
	struct statsd *s = ctx;

	/* A server that is not there, or too slow, loses it. */
	(void)!sendto(s->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL, &s->to.sa, s->to_n);
}

static unsigned
count_backlog(const struct listeners *ls)
{
	struct accept_queue q;
	unsigned n = 0;

	for (size_t i = 0; i < ls->n; i++)
		if (!ls->v[i].is_unix && accept_queue_read(ls->v[i].fd, &q))
			n += q.waiting;
	return n;
}

void
statsd_send(struct statsd *s, const struct totals_snapshot *now)
{
	struct statsd_text text;
	struct statsd_gauges g;

	if (s == NULL)
		return;
	/* The binary before has told what it had counted. */
	if (!s->primed)
		s->last = *now;
	s->primed = true;
	g = (struct statsd_gauges){
	    fleet_count_ready(&s->m->fleet), count_backlog(&s->m->listeners)};
	text.prefix = s->prefix;
	text.tags = s->tags;
	text.on_full = on_full;
	text.ctx = s;
	text.n = 0;
	statsd_write(&text, &s->last, now, &g);
}

/* Once, when the master begins: the name server is waited for. */
static int
resolve(struct statsd *s, const char *text, struct err *e)
{
	const struct addrinfo hints = {
	    .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	struct statsd_addr a;
	int failed;

	if (statsd_addr_parse(&a, text, e) < 0)
		return -1;
	if (a.path != NULL) {
		s->to.un.sun_family = AF_UNIX;
		strcpy(s->to.un.sun_path, a.path); /* its length was checked */
		s->to_n = sizeof(s->to.un);
		return 0;
	}
	failed = getaddrinfo(a.host, a.port, &hints, &found);
	if (failed != 0)
		return err_set(e,
		    "--statsd-host \"%.100s\": the host cannot be resolved: %s; correct "
		    "it, "
		    "or leave the option out",
		    text, gai_strerror(failed));
	memcpy(&s->to, found->ai_addr, found->ai_addrlen);
	s->to_n = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/* "shop", "shop." and "shop.." are the same, as in gunicorn. */
static void
set_prefix(struct statsd *s, const char *prefix)
{
	int n = (int)strlen(prefix);

	while (n > 0 && prefix[n - 1] == '.')
		n--;
	if (n > 0)
		snprintf(s->prefix, sizeof(s->prefix), "%.*s.", n, prefix);
}

int
statsd_open(struct statsd **out, struct master *m, struct err *e)
{
	const struct conf *c = &m->heritage.conf;
	struct statsd *s;

	if (c->statsd_host == NULL || c->statsd_host[0] == '\0')
		return 0;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(e, "out of memory");
	*out = s;
	s->m = m;
	s->fd = -1;
	s->primed = m->adopted == NULL;
	s->tags = c->dogstatsd_tags != NULL ? c->dogstatsd_tags : "";
	set_prefix(s, c->statsd_prefix != NULL ? c->statsd_prefix : "");
	if (resolve(s, c->statsd_host, e) < 0)
		return -1;
	s->fd = socket(s->to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return err_errno(e, "--statsd-host \"%.100s\": socket", c->statsd_host);
	return 0;
}

void
statsd_close(struct statsd *s)
{
	struct totals_snapshot last;

	if (s == NULL)
		return;
	if (s->fd >= 0 && s->m->minder != NULL) {
		minder_take(s->m->minder, &last);
		statsd_send(s, &last);
	}
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}
