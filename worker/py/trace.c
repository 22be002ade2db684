/* Dumps of every thread's Python stack. faulthandler reads frames that their threads change
 * under its eyes, and can crash on them; so a thread of ours takes the GIL first. Where C
 * code holds it and does not give it up, the frames stand still, too.
 * SPDX-License-Identifier: MIT */
#include "worker/py/trace.h"

#include "common/heritage.h"
#include "worker/py/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

/* Python threads give the GIL up when asked for it, within --switch-interval. */
#define FREEZE_MS 50

static struct trace {
	struct seg *seg;         /* borrowed; NULL: closed */
	int fd;                  /* owned memfd: trace_own() */
	void (*dump)(int signo); /* faulthandler's handler; writes by signal number */
	void (*on_asked)(void);
	void (*_Atomic call)(void); /* what the GIL is wanted for, too */
	_Atomic unsigned asked;     /* by the master, and not yet answered */
	sem_t work;                 /* for gil_main() */
	pthread_mutex_t lock;       /* protects what follows */
	pthread_cond_t changed;
	bool wanted, frozen;
	trace_prepare_fn *prepare;
	void *arg;
} trace = {
    .fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* faulthandler knows its files by signal numbers; of this one it gets no signals. */
#define OWN_SIGNAL (HERITAGE_TRACE_SIGNAL + 1)

static void
on_trace_signal(int signo)
{
	int saved = errno;

	(void)signo;
	atomic_fetch_add(&trace.asked, 1);
	trace.on_asked();
	errno = saved;
}

/* With the GIL: nobody runs Python until thaw(). */
static void
stand_still(void)
{
	pthread_mutex_lock(&trace.lock);
	if (trace.wanted) {
		if (trace.prepare != NULL)
			trace.prepare(trace.arg);
		trace.frozen = true;
		pthread_cond_broadcast(&trace.changed);
		while (trace.wanted)
			pthread_cond_wait(&trace.changed, &trace.lock);
		trace.frozen = false;
		pthread_cond_broadcast(&trace.changed);
	}
	pthread_mutex_unlock(&trace.lock);
}

static void *
gil_main(void *arg)
{
	(void)arg;
	pthread_setname_np(pthread_self(), "shoal-gil");
	for (;;) {
		PyGILState_STATE state;
		void (*call)(void);

		while (sem_wait(&trace.work) < 0)
			;
		state = PyGILState_Ensure();
		stand_still();
		call = atomic_exchange(&trace.call, NULL);
		if (call != NULL)
			call();
		PyGILState_Release(state);
	}
	return NULL;
}

void
trace_call_with_gil(void (*call)(void))
{
	atomic_store(&trace.call, call);
	sem_post(&trace.work);
}

static void
freeze(trace_prepare_fn *prepare, void *arg)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += FREEZE_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&trace.lock);
	trace.prepare = prepare;
	trace.arg = arg;
	trace.wanted = true;
	sem_post(&trace.work);
	while (!trace.frozen)
		if (pthread_cond_timedwait(&trace.changed, &trace.lock, &until) ==
		    ETIMEDOUT)
			break;
	pthread_mutex_unlock(&trace.lock);
}

static void
thaw(void)
{
	pthread_mutex_lock(&trace.lock);
	trace.wanted = false;
	pthread_cond_broadcast(&trace.changed);
	while (trace.frozen)
		pthread_cond_wait(&trace.changed, &trace.lock);
	pthread_mutex_unlock(&trace.lock);
}

void
trace_answer(void)
{
	unsigned n = atomic_exchange(&trace.asked, 0);

	if (n == 0)
		return;
	freeze(NULL, NULL);
	trace.dump(HERITAGE_TRACE_SIGNAL);
	thaw();
	atomic_fetch_add(&trace.seg->traces, n);
}

size_t
trace_own(trace_prepare_fn *prepare, void *arg, char *buf, size_t cap)
{
	ssize_t n;

	if (ftruncate(trace.fd, 0) < 0)
		return 0;
	freeze(prepare, arg);
	trace.dump(OWN_SIGNAL);
	thaw();
	n = pread(trace.fd, buf, cap, 0);
	return n < 0 ? 0 : (size_t)n;
}

struct str
trace_of_thread(struct str dump, unsigned long ident)
{
	char name[40];
	const char *p, *line, *end;
	int n =
	    snprintf(name, sizeof(name), "hread 0x%0*lx ", (int)(sizeof(ident) * 2), ident);

	p = memmem(dump.p, dump.n, name, (size_t)n);
	if (p == NULL)
		return (struct str){NULL, 0};
	dump.n -= (size_t)(p - dump.p);
	line = memchr(p, '\n', dump.n);
	if (line == NULL)
		return (struct str){NULL, 0};
	line++;
	dump.n -= (size_t)(line - p);
	end = memmem(line, dump.n, "\n\n", 2);
	return (struct str){line, end != NULL ? (size_t)(end + 1 - line) : dump.n};
}

/* faulthandler's handlers are ours to call from here on, when nothing moves. */
static void
take_signals(void)
{
	struct sigaction ours = {.sa_handler = on_trace_signal, .sa_flags = SA_RESTART};
	struct sigaction theirs;

	sigemptyset(&ours.sa_mask);
	signal(OWN_SIGNAL, SIG_DFL);
	sigaction(HERITAGE_TRACE_SIGNAL, &ours, &theirs);
	trace.dump = theirs.sa_handler;
}

static int
start_thread(struct err *e)
{
	sigset_t all, before;
	pthread_t thread;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&thread, NULL, gil_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed == 0)
		pthread_detach(thread);
	return failed ? err_set(e, "stack dumps: %s", strerror(failed)) : 0;
}

int
trace_crashes(struct state *st)
{
	PyObject *done = state_call_boot(st, "crash_register", "(i)", HERITAGE_TRACE_FD);

	Py_XDECREF(done);
	return done == NULL ? -1 : 0;
}

int
trace_open(struct state *st, void (*on_asked)(void), struct err *e)
{
	PyObject *done;

	trace.seg = st->worker->seg;
	trace.on_asked = on_asked;
	trace.fd = memfd_create("shoal-overdue", MFD_CLOEXEC);
	if (trace.fd < 0 || fcntl(trace.fd, F_SETFL, O_APPEND) < 0 ||
	    sem_init(&trace.work, 0, 0) < 0)
		return err_errno(e, "stack dumps");
	done = state_call_boot(st, "trace_register", "(iiii)", HERITAGE_TRACE_SIGNAL,
	    HERITAGE_TRACE_FD, OWN_SIGNAL, trace.fd);
	if (done == NULL)
		return errors_to_err(e, "stack dumps");
	Py_DECREF(done);
	take_signals();
	return start_thread(e);
}

void
trace_close(void)
{
	signal(HERITAGE_TRACE_SIGNAL, SIG_IGN);
}
