/* One worker process: takes over its heritage, runs the I/O thread, reports to the master.
 * SPDX-License-Identifier: MIT */
#include "worker/worker.h"

#include "common/log.h"
#include "common/msg.h"
#include "common/title.h"
#include "worker/channel.h"
#include "worker/logw.h"
#include "worker/net/app_ops.h"
#include "worker/net/net.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static struct net net;
static pthread_t io_thread;
static bool io_running;

static void
log_to_writer(const char *line, size_t n)
{
	logw_write(LOGW_ERROR, line, n);
}

/* The master died (PDEATHSIG) or somebody sent TERM: finish what is in hand. Only sets a
 * flag and wakes the I/O thread. */
static void
on_term(int sig)
{
	(void)sig;
	channel_term_asked();
	if (io_running)
		net_wake(&net);
}

/* A mold has nothing in hand, also while it loads the application. */
static void
on_mold_term(int sig)
{
	(void)sig;
	_exit(0);
}

static void
signals_configure(void)
{
	static const int ignored[] = {SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};
	struct sigaction sa = {.sa_handler = SIG_IGN};

	/* The master speaks to its workers through the channel; a terminal's ^C is for it.
	 */
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		sigaction(ignored[i], &sa, NULL);
	sa.sa_handler = on_term;
	sa.sa_flags = SA_RESTART;
	sigaction(SIGTERM, &sa, NULL);
}

static struct sigaction held_term; /* the application's, while the mold waits */

void
worker_hold_term(void)
{
	const struct sigaction sa = {.sa_handler = on_mold_term};

	sigaction(SIGTERM, &sa, &held_term);
}

static void
restore_term(void)
{
	if (held_term.sa_handler == on_mold_term) {
		held_term.sa_handler = on_term;
		held_term.sa_flags = SA_RESTART;
	}
	sigaction(SIGTERM, &held_term, NULL);
}

/* Inside a python executable ps would show that, and the lines that load the plugin. */
static void
set_title(const struct worker *w)
{
	const bool is_mold = w->heritage.role == ROLE_MOLD;
	char process[32];

	snprintf(process, sizeof(process), is_mold ? "shoal: mold" : "shoal: worker %u",
	    w->heritage.slot);
	title_set(process, conf_instance_name(&w->heritage.conf));
	prctl(PR_SET_NAME, is_mold ? "shoal-mold" : "shoal-worker");
}

/* A mold has them, too: who is forked from it shares the mapping. */
static int
open_quotas(struct worker *w, struct err *e)
{
	struct stat st;

	if (fstat(HERITAGE_QUOTA_FD, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return quota_open(&w->quota, HERITAGE_QUOTA_FD, false, e);
}

int
worker_open(struct worker *w, struct err *e)
{
	memset(w, 0, sizeof(*w));
	signals_configure();
	for (int fd = HERITAGE_CHANNEL_FD; fd < HERITAGE_FIRST_LISTENER_FD; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(HERITAGE_CHANNEL_FD, F_SETFL, O_NONBLOCK);
	if (heritage_read(&w->heritage, HERITAGE_CONF_FD, e) < 0)
		return -1;
	close(HERITAGE_CONF_FD);
	/* A mold has no segment: each worker that is forked brings its own. */
	if (w->heritage.role == ROLE_MOLD)
		signal(SIGTERM, on_mold_term);
	else if ((w->seg = seg_open(HERITAGE_SEG_FD, e)) == NULL)
		return -1;
	else if (acct_open(&w->accounts, HERITAGE_ACCOUNTS_FD, ACCT_WRITE, e) < 0)
		return -1;
	w->board = board_open(HERITAGE_BOARD_FD, e);
	if (w->board == NULL)
		return -1;
	if (open_quotas(w, e) < 0)
		return -1;
	close(HERITAGE_SEG_FD);
	close(HERITAGE_BOARD_FD);
	close(HERITAGE_ACCOUNTS_FD);
	close(HERITAGE_QUOTA_FD);
	if (w->seg != NULL) {
		atomic_store(&w->seg->pid, (int32_t)getpid());
		log_set_counts(w->seg->logged);
	}
	log_set_level((enum log_level)MAX(log_level_parse(w->heritage.conf.log_level), 0));
	logw_init(HERITAGE_ACCESS_FD, HERITAGE_ERROR_FD);
	log_set_sink(log_to_writer);
	title_adopt();
	set_title(w);
	return 0;
}

void
worker_become(struct worker *w, const struct msg_fork *order, int channel, int trace)
{
	struct heritage *h = &w->heritage;

	/* Both places are taken in the mold, so neither is a source. */
	if (dup3(channel, HERITAGE_CHANNEL_FD, O_CLOEXEC) < 0 ||
	    dup3(trace, HERITAGE_TRACE_FD, O_CLOEXEC) < 0)
		_exit(3); /* no channel to say it on */
	fcntl(HERITAGE_CHANNEL_FD, F_SETFL, O_NONBLOCK);
	h->role = ROLE_WORKER;
	h->slot = order->slot;
	h->epoch = order->epoch;
	h->line = order->line;
	h->workers = order->workers;
	h->parked = order->parked;
	atomic_store(&w->seg->pid, (int32_t)getpid());
	log_set_counts(w->seg->logged);
	set_title(w);
	restore_term();
}

static _Noreturn void
give_up(enum msg_type type, struct str text, int status)
{
	/* Without a master there is still somebody who reads stderr. */
	if (msg_send(HERITAGE_CHANNEL_FD, type, text.p, text.n, NULL, 0) < 0 &&
	    write(STDERR_FILENO, text.p, text.n) < 0)
		_exit(status);
	logw_stop(1000);
	_exit(status);
}

void
worker_fail(struct worker *w, struct str text)
{
	(void)w;
	give_up(MSG_FAILED, text, 3);
}

static void *
io_main(void *arg)
{
	(void)arg;
	prctl(PR_SET_NAME, "shoal-io");
	net_run(&net);
	return NULL;
}

static int
start_thread(struct err *e)
{
	sigset_t all, before;
	int failed;

	/* The I/O thread blocks every signal: they belong to Python's main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&io_thread, NULL, io_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed ? err_set(e, "I/O thread: %s", strerror(failed)) : 0;
}

int
worker_start(struct worker *w, const struct app_ops *ops, struct err *e)
{
	if (logw_start() < 0)
		return err_errno(e, "log thread");
	if (net_init(&net, w, ops, e) < 0)
		give_up(MSG_REFUSED, str_of(e->text), 2);
	if (channel_open(&net, e) < 0)
		return -1;
	if (start_thread(e) < 0)
		return -1;
	io_running = true;
	if (msg_send(HERITAGE_CHANNEL_FD, MSG_READY, NULL, 0, NULL, 0) < 0)
		log_warn("worker", "master did not hear ready", NULL);
	return 0;
}

void
worker_finish(struct worker *w)
{
	log_set_counts(NULL);
	atomic_store(&net.app_gone, true);
	net_wake(&net);
	pthread_join(io_thread, NULL);
	io_running = false;
	channel_close();
	net_finish(&net);
	if (msg_send(HERITAGE_CHANNEL_FD, MSG_DRAINED, NULL, 0, NULL, 0) < 0)
		log_debug("worker", "master is gone", NULL);
	logw_stop(2000);
	log_set_sink(NULL);
	board_close(w->board);
	seg_close(w->seg);
	acct_close(&w->accounts);
	heritage_finish(&w->heritage);
}
