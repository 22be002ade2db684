/* The master: reads its orders, brings the workers up, waits, brings them down.
 * SPDX-License-Identifier: MIT */
#include "master/master.h"

#include "common/conf_help.h"
#include "common/conf_load.h"
#include "common/log.h"
#include "common/title.h"
#include "master/books.h"
#include "master/chores.h"
#include "master/daemon.h"
#include "master/gate.h"
#include "master/minder.h"
#include "master/mold.h"
#include "master/notify.h"
#include "master/preflight.h"
#include "master/reload.h"
#include "master/start.h"
#include "master/text.h"
#include "master/upgrade.h"
#include "master/watch.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>

const struct conf *
master_conf(const struct master *m)
{
	return &m->fleet.gen->heritage.conf;
}

static void
on_ready(void *ctx, struct proc *p)
{
	struct master *m = ctx;

	if (m->check) {
		printf("The configuration and the application are fine.\n");
		fleet_stop_now(&m->fleet);
		return;
	}
	events_emit(&m->events, "worker.ready", minder_name(p));
	if (!m->up) {
		m->up = true;
		notify_send("READY=1\nMAINPID=%d", (int)getpid());
		daemon_report(EXIT_STOPPED);
		events_emit(&m->events, "server.ready", NULL);
	}
	minder_tell_status(m->minder);
	reload_on_ready(m, p);
	chores_on_ready(m, p);
}

/* At the first start nobody serves yet, so there is nothing to keep up. */
static void
give_up(struct master *m, struct str text, bool refused)
{
	if (m->stopping)
		return;
	/* As it is, not as a log record: this is what a developer looks at. */
	(void)!write(STDERR_FILENO, text.p, text.n);
	if (text.n == 0 || text.p[text.n - 1] != '\n')
		(void)!write(STDERR_FILENO, "\n", 1);
	if (strcmp(m->logs.error_path, "-") != 0)
		log_text(LOG_LVL_ERROR, "master", "application not loaded", text);
	m->exit_code = refused ? EXIT_CONFIG : EXIT_NO_APP;
	m->stopping = true;
	fleet_stop_now(&m->fleet);
}

static void
on_failed(void *ctx, struct proc *p)
{
	struct master *m = ctx;

	if (!m->fleet.ever_ready) {
		give_up(m, p->failure, p->refused);
		return;
	}
	log_text(LOG_LVL_ERROR, "master", "application not loaded", p->failure);
	reload_on_failed(m, p);
	chores_on_failed(m, p);
}

static void
on_mold(void *ctx, struct mold *mold, bool loaded, struct str text)
{
	struct master *m = ctx;

	if (!loaded && !m->fleet.ever_ready)
		give_up(m, text, mold->refused);
	else
		reload_on_mold(m, mold, loaded, text);
}

static void
on_gone(void *ctx, struct proc *p, const char *cause)
{
	struct master *m = ctx;

	minder_on_gone(m->minder, p, cause);
	reload_on_gone(m, p);
	chores_on_gone(m, p);
	minder_tell_status(m->minder);
}

static void
on_dying(void *ctx, pid_t pid)
{
	struct master *m = ctx;

	meter_on_dying(&m->minder->meter, m, pid);
}

static void
on_checked(void *ctx, struct proc *p, unsigned status, struct str text)
{
	reload_on_checked(ctx, p, status, text);
}

static void
on_overdue(void *ctx, struct proc *p, bool stuck, struct str text)
{
	struct master *m = ctx;
	json_t *data = minder_name(p);

	json_object_set_new(data, "text", text_lines_to_json(text));
	events_emit(&m->events, stuck ? "worker.stuck" : "worker.overdue", data);
}

static void
on_files(void *ctx, struct str lines)
{
	struct master *m = ctx;

	if (m->watch != NULL)
		watch_add(m->watch, lines);
}

static bool
on_stranger(void *ctx, pid_t pid, int status)
{
	struct master *m = ctx;

	return checker_reap(&m->minder->checker, pid, status) ||
	       reload_on_child(m, pid, status) || upgrade_on_child(m, pid, status) ||
	       gate_on_child(m->gate, pid, status) || books_on_child(m->books, pid, status);
}

static void
on_all_gone(void *ctx)
{
	struct master *m = ctx;

	if (!books_end(m->books))
		event_base_loopbreak(m->base);
}

static const struct fleet_events fleet_callbacks = {
    .on_ready = on_ready,
    .on_failed = on_failed,
    .on_dying = on_dying,
    .on_gone = on_gone,
    .on_checked = on_checked,
    .on_mold = on_mold,
    .on_overdue = on_overdue,
    .on_files = on_files,
    .on_stranger = on_stranger,
    .on_all_gone = on_all_gone,
};

void
master_stop(struct master *m)
{
	master_stop_within(m, master_conf(m)->graceful_timeout);
}

void
master_stop_within(struct master *m, int64_t graceful_ms)
{
	if (m->stopping) {
		master_stop_now(m);
		return;
	}
	m->stopping = true;
	log_info("master", "stopping", "graceful=%llds",
	    (long long)(m->heritage.conf.graceful_timeout / 1000));
	notify_send("STOPPING=1");
	events_emit(&m->events, "server.stopping", NULL);
	reload_abandon(m);
	listeners_refuse(&m->listeners);
	fleet_stop(&m->fleet, graceful_ms);
}

void
master_stop_now(struct master *m)
{
	m->stopping = true;
	log_info("master", "stopping at once", NULL);
	notify_send("STOPPING=1");
	reload_abandon(m);
	fleet_stop_now(&m->fleet);
}

int
master_renew_logs(struct master *m, struct err *e)
{
	if (logs_reopen(&m->logs, e) < 0)
		return -1;
	fleet_reopen(&m->fleet);
	log_info("master", "logs reopened", NULL);
	events_emit(&m->events, "log.reopened", NULL);
	return 0;
}

void
master_reopen_logs(struct master *m)
{
	struct err e;

	if (master_renew_logs(m, &e) < 0)
		log_error("master", "logs cannot be reopened", "reason=\"%s\"", e.text);
}

/* A log or a socket on descriptor 0, 1 or 2 would be taken for a standard stream. */
static int
fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static enum master_exit
run(struct master *m)
{
	const struct conf *c = &m->heritage.conf;
	struct err e = {""};

	m->fleet.events = fleet_callbacks;
	m->fleet.events.ctx = m;
	m->exit_code = start_all(m, &e);
	json_decref(TAKE_PTR(m->adopted));
	if (m->exit_code != EXIT_STOPPED) {
		fprintf(stderr, "shoal: %s\n", e.text);
		return m->exit_code;
	}
	title_set("shoal: master", conf_instance_name(c));
	prctl(PR_SET_NAME, "shoal");
	log_info("master", "starting", "version=%s python=%s launch=%s interpreter=%s",
	    SHOAL_VERSION, m->python.version, m->python.libpython[0] ? "embed" : "exec",
	    m->python.executable);
	for (size_t i = 0; i < m->listeners.n; i++)
		log_info("master", "listening", "address=%s", m->listeners.v[i].name);
	if (event_base_dispatch(m->base) < 0) {
		log_crit("master", "the event loop failed", NULL);
		return EXIT_BROKEN;
	}
	if (!m->check && m->exit_code == EXIT_STOPPED)
		log_info("master", "stopped", NULL);
	return m->exit_code;
}

static void
print_help(const struct conf *c)
{
	(void)c;
	conf_help_usage(stdout);
}

static void
print_version(const struct conf *c)
{
	(void)c;
	conf_help_version(stdout, event_get_version());
}

static void
print_config(const struct conf *c)
{
	conf_help_config(stdout, c);
}

static void (*const printers[])(const struct conf *c) = {
    [CONF_PRINT] = print_config,
    [CONF_HELP] = print_help,
    [CONF_VERSION] = print_version,
};

/* A master that takes over goes on with the configuration it was left, and reads its files
 * with the reload that follows: a mistake in them must not end the instance. */
static int
read_conf(
    struct master *m, int argc, char **argv, struct conf_action *action, struct err *e)
{
	if (m->adopted != NULL)
		return adopt_conf(m, m->adopted, e);
	if (e->text[0] != '\0')
		return -1;
	return conf_load(&m->heritage.conf, argc, argv, action, e);
}

int
master_main(int argc, char **argv)
{
	static struct master m;
	struct conf_action action = {.what = CONF_RUN};
	struct err e = {""};
	int code = EXIT_STOPPED;

	if (argc == 3 && strcmp(argv[1], UPGRADE_CHECK_FLAG) == 0)
		return adopt_check(argv[2]);
	m.argc = argc;
	m.argv = preflight_keep_args(argc, argv);
	m.logs.access_fd = m.logs.error_fd = m.pidfile.fd = -1;
	title_init(argc, argv);
	if (fill_standard_fds() < 0)
		return EXIT_BROKEN;
	m.adopted = adopt_find(&e);
	if (read_conf(&m, argc, argv, &action, &e) < 0) {
		fprintf(stderr, "shoal: %s\n", e.text);
		conf_help_hint(stderr);
		code = EXIT_CONFIG;
	} else if ((size_t)action.what < ARRAY_LEN(printers) && printers[action.what]) {
		printers[action.what](&m.heritage.conf);
	} else {
		m.check = action.what == CONF_CHECK;
		notify_init();
		for (size_t i = 0; i < action.notices.n; i++)
			log_warn("conf", "notice", "%s", action.notices.v[i]);
		code = (int)run(&m);
	}
	conf_action_finish(&action);
	start_undo(&m);
	free(m.argv);
	daemon_report(code);
	return code;
}
