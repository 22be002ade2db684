/* The last lines of the master's log, for logs.subscribe. SPDX-License-Identifier: MIT */
#include "master/ctl/server.h"
#include "master/master.h"

#include <event2/event.h>

/* A log line knows no context: there is one master in a process. */
static struct ctl_logtap *tap;

static void
on_log(enum log_level level, const char *line, size_t n)
{
	static const struct timeval now = {0, 0};
	struct ctl_log_line *to;

	if (tap == NULL)
		return;
	while (n > 0 && line[n - 1] == '\n')
		n--;
	to = &tap->v[(tap->seq + 1) % CTL_LOG_KEPT];
	free(to->text);
	to->text = strndup(line, MIN(n, CTL_LOG_LINE_MAX));
	to->seq = ++tap->seq;
	to->t = ctl_now();
	to->level = level;
	/* Subscribers are told from the loop: a line may be written anywhere. */
	event_add(tap->on_line, &now);
}

static void
on_line(evutil_socket_t fd, short what, void *arg)
{
	struct ctl *c = arg;
	(void)fd, (void)what;

	for (struct ctl_conn *conn = c->conns; conn != NULL; conn = conn->next)
		if (conn->subs != NULL && !conn->broken)
			ctl_subs_pump(conn);
}

int
ctl_logtap_open(struct ctl_logtap *t, struct ctl *c)
{
	t->on_line = evtimer_new(c->master->base, on_line, c);
	if (t->on_line == NULL)
		return -1;
	tap = t;
	log_set_tap(on_log);
	return 0;
}

void
ctl_logtap_close(struct ctl_logtap *t)
{
	if (t->on_line == NULL)
		return;
	log_set_tap(NULL);
	tap = NULL;
	event_free(t->on_line);
	for (size_t i = 0; i < CTL_LOG_KEPT; i++)
		free(t->v[i].text);
}
