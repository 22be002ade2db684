/* The side that hands over: asks the new binary whether it could, then becomes it.
 * SPDX-License-Identifier: MIT */
#include "master/upgrade.h"

#include "common/log.h"
#include "master/books.h"
#include "master/master.h"
#include "master/mold.h"
#include "master/notify.h"
#include "master/reload.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define CHECK_MS 20000
#define AGAIN_MS 50 /* a worker or mold is just being made: it has no process id yet */
#define HELD_TURNS                                                                         \
	3 /* of the loop, until the last signal that was caught is acted upon              \
	   */
#define SAID_MAX 400
#define CHILD_FAILED 126

struct upgrade {
	struct master *m; /* borrowed */
	struct job *job;  /* borrowed of m->jobs; NULL: none */
	bool check_only;
	char binary[4096];
	pid_t pid;           /* of the binary that is asked; 0: none */
	int said;            /* owned memfd: its stderr; -1: none */
	struct event *timer; /* owned */
	unsigned held;       /* turns of the loop since signals are held back */
};

static void
timer_set(struct upgrade *u, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	evtimer_add(u->timer, &tv);
}

static void
let_signals(struct upgrade *u)
{
	if (u->held > 0)
		(void)!signals_hold(false);
	u->held = 0;
}

static void
finish(struct upgrade *u, enum job_state state, const char *stage, const char *why)
{
	struct job *j = TAKE_PTR(u->job);

	evtimer_del(u->timer);
	let_signals(u);
	if (u->said >= 0)
		close(TAKE_FD(u->said));
	if (state == JOB_FAILED)
		log_error("master", "upgrade failed", "job=%s stage=%s reason=\"%s\"",
		    j->id, stage, why);
	job_end(&u->m->jobs, j, state, stage, why, STR(""));
	if (!u->check_only)
		selfcount_reload(&u->m->self, j, false);
}

/* ---- Becoming the new binary ---- */

static int
keep(int fd)
{
	return fcntl(fd, F_SETFD, 0);
}

static int
keep_not(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static bool
something_is_unborn(const struct fleet *f)
{
	for (const struct proc *p = f->procs; p != NULL; p = p->next)
		if (p->pid == 0)
			return true;
	for (const struct mold *mold = f->molds; mold != NULL; mold = mold->next)
		if (mold->state == MOLD_LOADING)
			return true;
	return false;
}

/* Returns only when it could not. */
static void
become(struct upgrade *u, int state_fd, struct err *e)
{
	struct master *m = u->m;
	char number[16];

	snprintf(number, sizeof(number), "%d", state_fd);
	if (keep(state_fd) < 0 || upgrade_each_fd(m, keep) < 0 ||
	    setenv(UPGRADE_FD_VARIABLE, number, 1) < 0) {
		err_errno(e, "descriptors cannot be handed over");
	} else {
		notify_export();
		execv(u->binary, m->argv);
		err_errno(e, "cannot run %s", u->binary);
		notify_init();
	}
	unsetenv(UPGRADE_FD_VARIABLE);
	(void)!upgrade_each_fd(m, keep_not);
}

static void
hand_over(struct upgrade *u)
{
	struct master *m = u->m;
	struct err e = {""};

	if (m->stopping) {
		finish(u, JOB_CANCELLED, "stop", "the instance stops");
		return;
	}
	if (something_is_unborn(&m->fleet) || !books_rest(m->books)) {
		let_signals(u);
		timer_set(u, AGAIN_MS);
		return;
	}
	/* What comes from here on waits for the new image's handlers; what was caught
	 * already would be lost with this one's. */
	if (u->held == 0 && signals_hold(true) < 0) {
		finish(u, JOB_FAILED, "exec", "signals cannot be held back");
		return;
	}
	if (u->held++ < HELD_TURNS) {
		timer_set(u, 1);
		return;
	}
	reload_forget_previous(m);
	notify_reloading();
	log_info("master", "upgrading", "job=%s binary=%s", u->job->id, u->binary);
	job_step(&m->jobs, u->job, JOB_SWITCHING, NULL);
	AUTO_FD int state_fd = upgrade_state_write(m, &e);
	if (state_fd >= 0)
		become(u, state_fd, &e);
	books_resume(m->books);
	notify_ready();
	finish(u, JOB_FAILED, "exec", e.text);
}

/* ---- Asking it first ---- */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct upgrade *u = arg;

	(void)fd;
	(void)what;
	if (u->pid > 0)
		kill(u->pid, SIGKILL);
	else if (u->job != NULL)
		hand_over(u);
}

static _Noreturn void
run_child(const struct upgrade *u, int state_fd)
{
	char number[16];
	char *argv[] = {(char *)u->binary, (char *)UPGRADE_CHECK_FLAG, number, NULL};
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(number, sizeof(number), "%d", state_fd);
	if (keep(state_fd) < 0 || dup2(u->said, STDOUT_FILENO) < 0 ||
	    dup2(u->said, STDERR_FILENO) < 0)
		_exit(CHILD_FAILED);
	execv(u->binary, argv);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", u->binary, strerror(errno));
	_exit(CHILD_FAILED);
}

static int
ask(struct upgrade *u, struct err *e)
{
	AUTO_FD int state_fd = upgrade_state_write(u->m, e);
	sigset_t all, before;
	pid_t pid;

	if (state_fd < 0)
		return -1;
	u->said = memfd_create("shoal-said", MFD_CLOEXEC);
	if (u->said < 0)
		return err_errno(e, "memfd");
	/* The child shares the pipe behind the master's handlers until it has reset them.
	 */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		run_child(u, state_fd);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return err_errno(e, "fork");
	u->pid = pid;
	timer_set(u, CHECK_MS);
	return 0;
}

/* The last line it printed, which is its reason. */
static void
read_said(int fd, int status, char *why, size_t max)
{
	char text[SAID_MAX + 1];
	off_t size = lseek(fd, 0, SEEK_END);
	ssize_t n = pread(fd, text, SAID_MAX, MAX(size - SAID_MAX, 0));
	char *line = text;

	text[MAX(n, 0)] = '\0';
	for (n = MAX(n, 0); n > 0 && text[n - 1] == '\n'; n--)
		text[n - 1] = '\0';
	if (strrchr(text, '\n') != NULL)
		line = strrchr(text, '\n') + 1;
	if (*line != '\0')
		snprintf(why, max, "%s", line);
	else if (WIFEXITED(status))
		snprintf(
		    why, max, "the new binary ended with status %d", WEXITSTATUS(status));
	else
		snprintf(why, max, "the new binary was ended by signal %d%s",
		    WTERMSIG(status), WTERMSIG(status) == SIGKILL ? " (too slow)" : "");
}

/* Success alone proves nothing: most programs ignore what they do not understand. */
static bool
says_yes(int fd, int status, char *why, size_t max)
{
	const bool fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	read_said(fd, status, why, max);
	if (fine && strcmp(why, UPGRADE_CHECK_YES) == 0)
		return true;
	if (fine)
		snprintf(why, max,
		    "it does not say that it can take over: no shoal, or too old");
	return false;
}

bool
upgrade_on_child(struct master *m, pid_t pid, int status)
{
	struct upgrade *u = m->upgrade;
	char why[SAID_MAX + 1];

	if (u == NULL || u->pid != pid)
		return false;
	u->pid = 0;
	evtimer_del(u->timer);
	if (u->job == NULL)
		return true;
	if (m->stopping) {
		finish(u, JOB_CANCELLED, "stop", "the instance stops");
	} else if (!says_yes(u->said, status, why, sizeof(why))) {
		finish(u, JOB_FAILED, "check", why);
	} else if (u->check_only) {
		finish(u, JOB_DONE, NULL, NULL);
	} else {
		timer_set(u, 1); /* not from within the reaping of children */
	}
	return true;
}

struct job *
upgrade_start(struct master *m, const char *binary, bool check_only, const char *token,
    const struct job_by *by, const char **busy)
{
	struct upgrade *u = m->upgrade;
	struct err e = {""};
	struct job *j;

	*busy = NULL;
	if (m->stopping)
		return NULL;
	j = job_start(&m->jobs, JOB_UPGRADE, by, token, busy);
	if (j == NULL || j == u->job || job_is_final(j))
		return j;
	u->job = j;
	u->check_only = check_only;
	j->generation_from = m->fleet.gen->number;
	if (binary != NULL)
		snprintf(u->binary, sizeof(u->binary), "%s", binary);
	else
		snprintf(u->binary, sizeof(u->binary), "%s/shoal", m->bin_dir);
	job_step(&m->jobs, j, JOB_PREFLIGHT, NULL);
	if (ask(u, &e) < 0)
		finish(u, JOB_FAILED, "check", e.text);
	return j;
}

int
upgrade_open(struct master *m, struct err *e)
{
	struct upgrade *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return err_set(e, "out of memory");
	m->upgrade = u;
	u->m = m;
	u->said = -1;
	u->timer = evtimer_new(m->base, on_timer, u);
	return u->timer == NULL ? err_set(e, "out of memory") : 0;
}

void
upgrade_close(struct master *m)
{
	struct upgrade *u = m->upgrade;

	if (u == NULL)
		return;
	if (u->pid > 0)
		kill(u->pid, SIGKILL);
	if (u->timer != NULL)
		event_free(u->timer);
	if (u->said >= 0)
		close(u->said);
	free(TAKE_PTR(m->upgrade));
}
