/* Reads the configuration again in a forked process: the answer comes in a memfd, its
 * arrival is the process's end. SPDX-License-Identifier: MIT */
#include "master/preflight.h"

#include "common/conf_load.h"
#include "common/conf_option.h"
#include "common/strlist.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define ANSWER_MAX (4 << 20)
#define REFUSED 2 /* the exit code of a wrong configuration */

char **
preflight_keep_args(int argc, char **argv)
{
	size_t bytes = ((size_t)argc + 1) * sizeof(char *);
	char **copy, *p;

	for (int i = 0; i < argc; i++)
		bytes += strlen(argv[i]) + 1;
	copy = malloc(bytes);
	if (copy == NULL)
		return NULL;
	p = (char *)(copy + argc + 1);
	for (int i = 0; i < argc; i++) {
		copy[i] = p;
		p = stpcpy(p, argv[i]) + 1;
	}
	copy[argc] = NULL;
	return copy;
}

void
preflight_init(struct preflight *p)
{
	p->pid = 0;
	p->answer = p->said = -1;
	p->timer = NULL;
	p->late = false;
}

static void
close_files(struct preflight *p)
{
	if (p->answer >= 0)
		close(p->answer);
	if (p->said >= 0)
		close(p->said);
	p->answer = p->said = -1;
}

/* A file of a fixed size: what a configuration prints without end must not fill memory.
 * How much there is, the shared offset tells. */
static int
open_said(void)
{
	AUTO_FD int fd = memfd_create("shoal-said", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, PREFLIGHT_SAID_MAX) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		return -1;
	return TAKE_FD(fd);
}

static json_t *
make_answer(const struct conf *c, const struct strlist *notices)
{
	json_t *answer = json_object(), *list = json_array();

	for (size_t i = 0; i < notices->n; i++)
		json_array_append_new(list, json_string(notices->v[i]));
	json_object_set_new(answer, "notices", list);
	json_object_set_new(answer, "conf", conf_save(c));
	return answer;
}

static void
reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Nothing is freed and no handler of exit() runs: all of it is the master's. */
static _Noreturn void
run_child(
    const struct preflight *p, pid_t master, int argc, char *const *argv, const char *file)
{
	AUTO_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct conf_action action;
	struct conf c;
	struct err e = {""};
	json_t *answer;

	reset_signals();
	/* One group with the interpreter it may start: they are killed together. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != master || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(p->said, STDOUT_FILENO) < 0 || dup2(p->said, STDERR_FILENO) < 0)
		_exit(EXIT_FAILURE);
	if (conf_load_file(&c, argc, (char **)argv, file, &action, &e) != 0) {
		dprintf(p->answer, "%s", e.text);
		_exit(REFUSED);
	}
	answer = make_answer(&c, &action.notices);
	_exit(json_dumpfd(answer, p->answer, JSON_COMPACT) == 0 ? EXIT_SUCCESS
								: EXIT_FAILURE);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	struct preflight *p = arg;
	(void)fd;
	(void)what;

	p->late = true;
	/* The group may not be there yet, then only the process is. */
	if (kill(-p->pid, SIGKILL) < 0)
		kill(p->pid, SIGKILL);
}

static int
open_files(struct preflight *p, struct event_base *base, struct err *e)
{
	const struct timeval limit = {.tv_sec = PREFLIGHT_TIMEOUT_MS / 1000};

	p->answer = memfd_create("shoal-answer", MFD_CLOEXEC);
	p->said = open_said();
	if (p->timer == NULL)
		p->timer = evtimer_new(base, on_late, p);
	if (p->answer < 0 || p->said < 0 || p->timer == NULL ||
	    evtimer_add(p->timer, &limit) < 0) {
		err_errno(e, "cannot read the configuration again");
		close_files(p);
		return -1;
	}
	return 0;
}

int
preflight_start(struct preflight *p, struct event_base *base, int argc, char *const *argv,
    const char *file, struct err *e)
{
	pid_t master = getpid();
	sigset_t all, before;

	if (p->pid != 0)
		return err_set(e, "the configuration is being read already");
	if (open_files(p, base, e) != 0)
		return -1;
	p->late = false;
	/* The child shares the pipe behind the master's handlers until it has reset them.
	 */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	p->pid = fork();
	if (p->pid == 0)
		run_child(p, master, argc, argv, file);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (p->pid > 0)
		return 0;
	err_errno(e, "cannot read the configuration again: fork");
	p->pid = 0;
	evtimer_del(p->timer);
	close_files(p);
	return -1;
}

/* At most `max` bytes from the beginning; NUL-terminated heap memory, NULL without. */
static char *
read_text(int fd, size_t max, size_t *n)
{
	char *buf = malloc(max + 1);
	ssize_t got = 1;

	*n = 0;
	while (buf != NULL && *n < max && got > 0) {
		got = pread(fd, buf + *n, max - *n, (off_t)*n);
		if (got > 0)
			*n += (size_t)got;
	}
	if (buf != NULL)
		buf[*n] = '\0';
	return buf;
}

static int
read_answer(
    const char *text, size_t n, struct conf *c, struct strlist *notices, struct err *e)
{
	json_t *answer = json_loadb(text, n, 0, NULL);
	json_t *value;
	size_t i;
	int rc;

	rc = conf_restore(c, json_object_get(answer, "conf"), e);
	json_array_foreach(
	    json_object_get(answer, "notices"), i, value) if (json_is_string(value))
	    strlist_addf(notices, "%s", json_string_value(value));
	json_decref(answer);
	return rc;
}

static void
explain_end(const struct preflight *p, int status, struct err *e)
{
	if (p->late)
		err_set(e, "the configuration was not read within %d seconds",
		    PREFLIGHT_TIMEOUT_MS / 1000);
	else if (WIFSIGNALED(status))
		err_set(e, "the process that read the configuration died of signal %d",
		    WTERMSIG(status));
	else
		err_set(e, "the process that read the configuration failed, status %d",
		    WEXITSTATUS(status));
}

bool
preflight_reap(struct preflight *p, pid_t pid, int status)
{
	struct preflight_result r = {.why = ""};
	AUTO_FREE char *answer = NULL, *said = NULL;
	off_t said_n;
	struct conf c;
	struct err e = {""};
	size_t n = 0;

	if (p->pid == 0 || pid != p->pid)
		return false;
	conf_init(&c);
	said_n = lseek(p->said, 0, SEEK_CUR);
	said =
	    read_text(p->said, (size_t)MIN(MAX(said_n, 0), PREFLIGHT_SAID_MAX), &r.said.n);
	r.said.p = said;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS) {
		answer = read_text(p->answer, ANSWER_MAX, &n);
		if (answer != NULL && read_answer(answer, n, &c, &r.notices, &e) == 0)
			r.conf = &c;
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED) {
		answer = read_text(p->answer, sizeof(e.text) - 1, &n);
		err_set(&e, "%s", answer ? answer : "out of memory");
	} else {
		explain_end(p, status, &e);
	}
	r.why = e.text;
	p->pid = 0;
	evtimer_del(p->timer);
	close_files(p);
	p->on_done(p->ctx, &r);
	strlist_finish(&r.notices);
	conf_finish(&c);
	return true;
}

void
preflight_finish(struct preflight *p)
{
	if (p->pid != 0)
		on_late(-1, 0, p);
	if (p->timer != NULL)
		event_free(p->timer);
	close_files(p);
	preflight_init(p);
}

/* What the master does once: sockets, files, its own process, the choice of Python. */
static const bool at_start[CONF_COUNT] = {
    [CONF_python] = true,
    [CONF_venv] = true,
    [CONF_python_launch] = true,
    [CONF_bind] = true,
    [CONF_backlog] = true,
    [CONF_reuse_port] = true,
    [CONF_socket_mode] = true,
    [CONF_daemon] = true,
    [CONF_pidfile] = true,
    [CONF_user] = true,
    [CONF_group] = true,
    [CONF_initgroups] = true,
    [CONF_umask] = true,
    [CONF_name] = true,
    [CONF_allow_root] = true,
    [CONF_control_socket] = true,
    [CONF_control_socket_mode] = true,
    [CONF_control_role] = true,
    [CONF_no_control_socket] = true,
    [CONF_state_dir] = true,
    [CONF_ledger] = true,
    [CONF_ledger_flush] = true,
    [CONF_ledger_node] = true,
    [CONF_ledger_keep_minutes] = true,
    [CONF_ledger_keep_hours] = true,
    [CONF_ledger_keep_days] = true,
    [CONF_ledger_keep_outbox] = true,
    [CONF_statsd_host] = true,
    [CONF_statsd_prefix] = true,
    [CONF_dogstatsd_tags] = true,
    [CONF_access_logfile] = true,
    [CONF_error_logfile] = true,
    [CONF_capture_output] = true,
};

static enum preflight_effect
effect_of(enum conf_id id, const struct conf *old, const struct conf *new)
{
	/* Another certificate is read by the next workers; whether a listener speaks TLS at
	 * all is settled when it is opened. */
	if (id == CONF_certfile && (old->certfile == NULL) != (new->certfile == NULL))
		return EFFECT_START;
	return at_start[id] ? EFFECT_START : EFFECT_RELOAD;
}

size_t
preflight_changed(
    const struct conf *old, const struct conf *new, struct preflight_change *v)
{
	json_t *a = conf_to_json(old), *b = conf_to_json(new);
	char key[CONF_KEY_MAX];
	size_t n = 0;

	if (!json_equal(json_object_get(a, "app"), json_object_get(b, "app")))
		v[n++] = (struct preflight_change){CONF_COUNT, EFFECT_RELOAD};
	for (unsigned i = 0; i < CONF_COUNT; i++) {
		enum conf_id id = (enum conf_id)i;

		conf_option_key(id, key);
		if (!json_equal(json_object_get(a, key), json_object_get(b, key)))
			v[n++] = (struct preflight_change){id, effect_of(id, old, new)};
	}
	json_decref(a);
	json_decref(b);
	return n;
}

static void
put_back(json_t *to, const json_t *from, const char *key)
{
	json_t *value = json_object_get(from, key);

	if (value != NULL)
		json_object_set(to, key, value);
	else
		json_object_del(to, key);
}

int
preflight_keep_started(struct conf *next, const struct conf *started, struct err *e)
{
	struct preflight_change v[CONF_COUNT + 1];
	size_t n = preflight_changed(started, next, v);
	json_t *was = conf_save(started), *is = conf_save(next);
	char key[CONF_KEY_MAX];
	int rc;

	for (size_t i = 0; i < n; i++) {
		if (v[i].effect != EFFECT_START)
			continue;
		conf_option_key(v[i].id, key);
		put_back(
		    json_object_get(is, "values"), json_object_get(was, "values"), key);
		put_back(
		    json_object_get(is, "origins"), json_object_get(was, "origins"), key);
	}
	conf_finish(next);
	conf_init(next);
	rc = is == NULL || was == NULL ? err_set(e, "out of memory")
				       : conf_restore(next, is, e);
	json_decref(was);
	json_decref(is);
	return rc;
}
