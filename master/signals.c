/* What signals mean to the master: each is an event of the loop.
 * SPDX-License-Identifier: MIT */
#include "master/signals.h"

#include "common/log.h"
#include "master/master.h"
#include "master/upgrade.h"

#include <event2/event.h>
#include <signal.h>

static void
on_more(struct master *m)
{
	fleet_scale(&m->fleet, m->fleet.wanted + 1);
}

static void
on_fewer(struct master *m)
{
	fleet_scale(&m->fleet, m->fleet.wanted - 1);
}

static void
on_child(struct master *m)
{
	fleet_reap(&m->fleet);
}

static void
on_reload(struct master *m)
{
	master_reload(m, "SIGHUP");
}

static void
on_upgrade(struct master *m)
{
	const struct job_by by = {.uid = getuid(), .comm = "SIGUSR2"};
	const char *busy;

	if (upgrade_start(m, NULL, false, NULL, &by, &busy) == NULL)
		log_warn("master", "upgrade refused, another job runs", "job=%s",
		    busy != NULL ? busy : "none");
}

static const struct {
	int signal;
	void (*act)(struct master *m);
} meanings[] = {
    {SIGTERM, master_stop},
    {SIGINT, master_stop},
    {SIGQUIT, master_stop_now},
    {SIGCHLD, on_child},
    {SIGHUP, on_reload},
    {SIGUSR1, master_reopen_logs},
    {SIGUSR2, on_upgrade},
    {SIGTTIN, on_more},
    {SIGTTOU, on_fewer},
};

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if (meanings[i].signal == sig)
			meanings[i].act(arg);
}

int
signals_hold(bool hold)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		sigaddset(&set, meanings[i].signal);
	return sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

int
signals_open(struct signals *s, struct event_base *base, struct master *m, struct err *e)
{
	_Static_assert(ARRAY_LEN(meanings) <= SIGNALS_MAX, "one event per signal");
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		s->events[i] = evsignal_new(base, meanings[i].signal, on_signal, m);
		if (s->events[i] == NULL || evsignal_add(s->events[i], NULL) < 0)
			return err_set(e, "cannot handle signal %d", meanings[i].signal);
	}
	signal(SIGPIPE, SIG_IGN);
	return signals_hold(false) < 0 ? err_errno(e, "signals cannot be let through") : 0;
}

void
signals_close(struct signals *s)
{
	sigset_t all;

	/* For good: the instance has stopped, and one more order to do so must not make its
	 * exit code a death. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (size_t i = 0; i < SIGNALS_MAX; i++) {
		if (s->events[i] != NULL)
			event_free(s->events[i]);
		s->events[i] = NULL;
	}
}
