/* The master's way up and down: paths, rights, logs, interpreter, sockets, pid file, in an
 * order in which each failure leaves nothing behind. SPDX-License-Identifier: MIT */
#include "master/start.h"

#include "common/log.h"
#include "master/books.h"
#include "master/chores.h"
#include "master/clock.h"
#include "master/ctl/ctl.h"
#include "master/daemon.h"
#include "master/env.h"
#include "master/gate.h"
#include "master/minder.h"
#include "master/notify.h"
#include "master/reload.h"
#include "master/statsd.h"
#include "master/upgrade.h"
#include "master/watch.h"

#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>

#define WORKER_NAME "shoal-worker"
#define WORKER_SPARE_FDS                                                                   \
	1024 /* beside the connections: files, the application's sockets                   \
	      */

static int
find_binaries(struct master *m, struct err *e)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	if (n < 0)
		return err_errno(
		    e, "cannot tell where the shoal binary is (/proc/self/exe)");
	exe[n] = '\0';
	slash = strrchr(exe, '/');
	if (slash == NULL || (size_t)(slash - exe) >= sizeof(m->bin_dir))
		return err_set(e, "the path of the shoal binary is too long");
	*slash = '\0';
	strcpy(m->bin_dir, exe);
	snprintf(m->worker_path, sizeof(m->worker_path), "%s/" WORKER_NAME, m->bin_dir);
	if (access(m->worker_path, X_OK) < 0)
		return err_errno(
		    e, "cannot run %s, which belongs beside shoal", m->worker_path);
	return 0;
}

static int
open_process(struct master *m, struct err *e)
{
	const struct conf *c = &m->heritage.conf;

	if (find_binaries(m, e) < 0 || privs_resolve(&m->privs, c, e) < 0)
		return -1;
	if (c->daemon && !m->check && m->adopted == NULL && daemon_start() < 0)
		return err_errno(e, "cannot become a daemon");
	if (logs_open(&m->logs, c, e) < 0)
		return -1;
	m->env = env_create(&c->env);
	if (m->env == NULL)
		return err_set(e, "out of memory");
	if (geteuid() == 0 && m->privs.uid == 0 && !c->allow_root)
		log_warn("master", "workers run as root",
		    "advice=\"use --user, or --allow-root if it has to be\"");
	return python_choose(&m->python, c, m->bin_dir, &m->privs, m->env, e);
}

static int
open_loop(struct master *m, struct err *e)
{
	struct event_config *config = event_config_new();

	if (config != NULL) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		m->base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (m->base == NULL)
		return err_set(e, "cannot start the event loop");
	if (notify_open_watchdog(m->base, e) < 0)
		return -1;
	return signals_open(&m->signals, m->base, m, e);
}

static int
fill_heritage(struct master *m, struct err *e)
{
	struct heritage *h = &m->heritage;

	snprintf(h->python, sizeof(h->python), "%s", m->python.executable);
	snprintf(h->plugin, sizeof(h->plugin), "%s", m->python.plugin);
	snprintf(h->libpython, sizeof(h->libpython), "%s", m->python.libpython);
	if (getrandom(h->ticket_key, sizeof(h->ticket_key), 0) !=
	    (ssize_t)sizeof(h->ticket_key))
		return err_errno(e, "no random bytes");
	h->listeners = calloc(m->listeners.n + 1, sizeof(*h->listeners));
	if (h->listeners == NULL)
		return err_set(e, "out of memory");
	h->n_listeners = m->listeners.n;
	for (size_t i = 0; i < h->n_listeners; i++) {
		const struct listener *l = &m->listeners.v[i];
		struct heritage_listener *to = &h->listeners[i];

		to->fd = HERITAGE_FIRST_LISTENER_FD + (int)i;
		to->tls = h->conf.certfile != NULL;
		to->is_unix = l->is_unix;
		memcpy(to->name, l->name, sizeof(to->name));
		m->listener_fds[i] = l->fd;
	}
	return 0;
}

static struct generation *
first_generation(struct master *m, struct err *e)
{
	struct conf copy;

	if (conf_copy(&copy, &m->heritage.conf, e) < 0)
		return NULL;
	/* One process is enough to see whether the application loads. */
	if (m->check)
		strcpy(copy.preload, "off");
	m->last_generation = 1;
	return generation_create(1, &copy, &m->heritage, e);
}

static int
start_fleet(struct master *m, struct err *e)
{
	const struct conf *c = &m->heritage.conf;

	int board_fd = m->fleet.spawn.board_fd; /* an adopted one */

	m->fleet.base = m->base;
	m->fleet.accounts = &m->accounts;
	m->fleet.spawn = (struct spawn_setup){
	    .path = m->worker_path,
	    .board_fd = board_fd,
	    .quota_fd = books_quota_fd(m->books),
	    .logs = &m->logs,
	    .privs = &m->privs,
	    /* Unset, the worker keeps the umask shoal was started with: the default of 0 is
	     * gunicorn's, and means socket files only. */
	    .umask = c->origin[CONF_umask] ? (int)c->umask : -1,
	    .detached = c->daemon && !m->check,
	    .captured = heritage_captures_output(c) && !m->check,
	    .listener_fds = m->listener_fds,
	    .n_listeners = m->listeners.n,
	    .nofile = c->worker_connections + WORKER_SPARE_FDS,
	};
	if (m->adopted != NULL)
		return adopt_fleet(m, m->adopted, e);
	m->fleet.gen = first_generation(m, e);
	if (m->fleet.gen == NULL)
		return -1;
	return fleet_start(&m->fleet, m->check ? 1 : (unsigned)c->workers, e);
}

static void
on_changed_file(void *ctx, const char *path)
{
	log_info("master", "a file changed", "path=\"%s\"", path);
	master_reload(ctx, "file watch");
}

/* The files of the application come from those who load it. */
static int
start_watch(struct master *m, struct err *e)
{
	const struct conf *c = &m->heritage.conf;

	if (!c->reload || m->check)
		return 0;
	m->watch = watch_open(m->base, WATCH_QUIET_MS, on_changed_file, m, e);
	if (m->watch == NULL)
		return -1;
	if (c->config_file != NULL)
		watch_add(m->watch, str_of(c->config_file));
	for (size_t i = 0; i < c->reload_extra_file.n; i++)
		watch_add(m->watch, str_of(c->reload_extra_file.v[i]));
	return 0;
}

/* What others find the instance by. */
static enum master_exit
open_names(struct master *m, struct err *e)
{
	const struct conf *c = &m->heritage.conf;

	if (m->adopted == NULL && listeners_open(&m->listeners, c, &m->privs, e) < 0)
		return EXIT_NO_LISTEN;
	if (pidfile_open(&m->pidfile, c->pidfile, e) < 0 || books_open(&m->books, m, e) < 0)
		return EXIT_CONFIG;
	return ctl_open(&m->ctl, m, e) < 0 || gate_open(&m->gate, m, e) < 0 ? EXIT_NO_LISTEN
									    : EXIT_STOPPED;
}

/* After the books: they make the directory. */
static int
open_accounts(struct master *m, struct err *e)
{
	if (accounts_open(
		&m->accounts, books_dir(m->books), m->adopted == NULL, m->base, e) < 0)
		return -1;
	accounts_restore(&m->accounts, json_object_get(m->adopted, "accounts"));
	m->accounts.held = m->books != NULL ? &m->held : NULL;
	return 0;
}

/* A master that takes over serves on without. */
static int
start_statsd(struct master *m, struct err *e)
{
	if (m->check || statsd_open(&m->statsd, m, e) == 0)
		return 0;
	if (m->adopted == NULL)
		return -1;
	log_error("statsd", "nothing is sent", "reason=\"%s\"", e->text);
	statsd_close(TAKE_PTR(m->statsd));
	return 0;
}

enum master_exit
start_all(struct master *m, struct err *e)
{
	const struct conf *c = &m->heritage.conf;

	m->started = clock_unix_s();
	if (open_process(m, e) < 0 || jobs_init(&m->jobs, c->state_dir, e) < 0)
		return EXIT_CONFIG;
	if (events_init(&m->events, 1, e) < 0)
		return EXIT_BROKEN;
	if (open_loop(m, e) < 0 || minder_open(&m->minder, m, e) < 0)
		return EXIT_BROKEN;
	if (m->adopted != NULL && adopt_instance(m, m->adopted, e) < 0)
		return EXIT_BROKEN;
	if (!m->check) {
		enum master_exit failed = open_names(m, e);

		if (failed != EXIT_STOPPED)
			return failed;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) /* for the workers a mold forks */
		return err_errno(e, "subreaper"), EXIT_BROKEN;
	if (start_statsd(m, e) < 0)
		return EXIT_CONFIG;
	if (open_accounts(m, e) < 0)
		return EXIT_BROKEN;
	/* The fleet last: it reaps whoever died before, and says so to all of them. */
	if (start_watch(m, e) < 0 || fill_heritage(m, e) < 0 || reload_open(m, e) < 0 ||
	    chores_open(m, e) < 0 || upgrade_open(m, e) < 0 || start_fleet(m, e) < 0)
		return EXIT_BROKEN;
	if (m->adopted != NULL)
		adopt_continue(m);
	return EXIT_STOPPED;
}

void
start_undo(struct master *m)
{
	statsd_close(m->statsd);
	gate_close(m->gate);
	ctl_close(m->ctl);
	books_close(m->books);
	watch_close(m->watch);
	upgrade_close(m);
	chores_close(m);
	reload_close(m);
	minder_close(m->minder);
	fleet_finish(&m->fleet);
	accounts_close(&m->accounts);
	held_finish(&m->held);
	listeners_close(&m->listeners);
	pidfile_close(&m->pidfile);
	signals_close(&m->signals);
	notify_close_watchdog();
	if (m->base != NULL)
		event_base_free(m->base);
	jobs_finish(&m->jobs);
	events_finish(&m->events);
	env_destroy(m->env);
	logs_close(&m->logs);
	heritage_finish(&m->heritage);
}
