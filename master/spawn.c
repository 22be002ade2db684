/* Starts one worker process: descriptors in their places, everything else of the master's
 * left behind. SPDX-License-Identifier: MIT */
#include "master/spawn.h"

#include "common/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define EXIT_NOT_LOADED 3 /* as a worker that could not load its application */

/* Source descriptors in the order of their places, from HERITAGE_CHANNEL_FD up. */
struct plan {
	size_t n;
	int fds[];
};

static struct plan *
plan_create(const struct spawn_setup *s, const struct spawn_fds *own)
{
	const int fixed[] = {own->channel, own->conf, own->seg, s->logs->access_fd,
	    s->logs->error_fd, s->board_fd, own->trace, own->accounts, s->quota_fd};
	size_t n = ARRAY_LEN(fixed) + s->n_listeners;
	struct plan *p = malloc(sizeof(*p) + n * sizeof(p->fds[0]));

	_Static_assert(HERITAGE_CONF_FD == HERITAGE_CHANNEL_FD + 1 &&
			   HERITAGE_SEG_FD == HERITAGE_CHANNEL_FD + 2 &&
			   HERITAGE_ACCESS_FD == HERITAGE_CHANNEL_FD + 3 &&
			   HERITAGE_ERROR_FD == HERITAGE_CHANNEL_FD + 4 &&
			   HERITAGE_BOARD_FD == HERITAGE_CHANNEL_FD + 5 &&
			   HERITAGE_TRACE_FD == HERITAGE_CHANNEL_FD + 6 &&
			   HERITAGE_ACCOUNTS_FD == HERITAGE_CHANNEL_FD + 7 &&
			   HERITAGE_QUOTA_FD == HERITAGE_CHANNEL_FD + 8 &&
			   HERITAGE_FIRST_LISTENER_FD == HERITAGE_CHANNEL_FD + 9,
	    "the plan lists the descriptors in their order");
	if (p == NULL)
		return NULL;
	p->n = n;
	memcpy(p->fds, fixed, sizeof(fixed));
	if (s->n_listeners > 0)
		memcpy(p->fds + ARRAY_LEN(fixed), s->listener_fds,
		    s->n_listeners * sizeof(int));
	return p;
}

static int
place_fds(struct plan *p, struct err *e)
{
	int end = HERITAGE_CHANNEL_FD + (int)p->n;

	/* First out of the way of all the places: a source may stand on another's. */
	for (size_t i = 0; i < p->n; i++) {
		if (p->fds[i] < 0)
			p->fds[i] = open("/dev/null", O_RDONLY);
		p->fds[i] = fcntl(p->fds[i], F_DUPFD, end);
		if (p->fds[i] < 0)
			return err_errno(e, "cannot pass descriptors on");
	}
	for (size_t i = 0; i < p->n; i++)
		if (dup2(p->fds[i], HERITAGE_CHANNEL_FD + (int)i) < 0)
			return err_errno(e, "cannot pass descriptors on");
	if (close_range((unsigned)end, ~0u, 0) < 0)
		return err_errno(e, "cannot close the master's descriptors");
	return 0;
}

/* Dispositions the master changed (SIG_IGN survives exec), and an empty mask. */
static void
reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
raise_nofile(int64_t wanted)
{
	struct rlimit rl;

	/* The worker lives with less: it stops accepting when it runs out. */
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur >= (rlim_t)wanted)
		return;
	rl.rlim_cur = MIN((rlim_t)wanted, rl.rlim_max);
	(void)setrlimit(RLIMIT_NOFILE, &rl);
}

static int
redirect_stdio(const struct spawn_setup *s, bool is_heard, struct err *e)
{
	if (s->detached) {
		AUTO_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (null < 0 || dup2(null, STDIN_FILENO) < 0)
			return err_errno(e, "cannot redirect standard input");
	}
	if (s->captured && (dup2(HERITAGE_ERROR_FD, STDOUT_FILENO) < 0 ||
			       (!is_heard && dup2(HERITAGE_ERROR_FD, STDERR_FILENO) < 0)))
		return err_errno(e, "cannot send standard output to the error log");
	return 0;
}

static int
run_child(const struct spawn_setup *s, struct plan *plan, int said, pid_t master,
    int *channel, struct err *e)
{
	char *argv[] = {(char *)s->title, NULL};

	reset_signals();
	/* Before the places are filled: it may stand on one. */
	if (said > 0 && dup2(said, STDERR_FILENO) < 0)
		return err_errno(e, "cannot hear standard error");
	if (place_fds(plan, e) < 0)
		return -1;
	*channel = HERITAGE_CHANNEL_FD;
	if (redirect_stdio(s, said > 0, e) < 0)
		return -1;
	raise_nofile(s->nofile);
	if (s->umask >= 0)
		umask((mode_t)s->umask);
	if (privs_apply(s->privs, e) < 0)
		return err_wrap(e, "cannot become user %s", s->privs->name);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, "no_new_privs");
	/* After the change of user, which would clear it; and the master may be gone
	 * already, in which case the signal never comes. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		return err_errno(e, "pdeathsig");
	if (getppid() != master)
		_exit(0);
	execve(s->path, argv, s->env);
	return err_errno(e, "cannot run %s", s->path);
}

pid_t
spawn_worker(const struct spawn_setup *s, const struct spawn_fds *own, struct err *e)
{
	struct plan *plan = plan_create(s, own);
	int channel_fd = own->channel;
	pid_t master = getpid(), pid;
	sigset_t all, before;
	struct err why;

	if (plan == NULL)
		return err_set(e, "out of memory");
	/* The child shares the pipe behind the master's handlers until it has reset them.
	 */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0) {
		if (run_child(s, plan, own->said, master, &channel_fd, &why) < 0)
			(void)!msg_send(
			    channel_fd, MSG_FAILED, why.text, strlen(why.text), NULL, 0);
		_exit(EXIT_NOT_LOADED);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	free(plan);
	return pid < 0 ? err_errno(e, "fork") : pid;
}
