/* A thread that never waits for the GIL reports requests past their deadline. Interrupting
 * them: the main thread by a signal whose Python handler raises, which also ends blocking
 * system calls; a pool thread by an asynchronous exception, set by a thread that may wait
 * for the GIL; a greenlet that waits by throwing into it from its hub. All three look, with
 * the GIL, whether it still is the request that is meant. SPDX-License-Identifier: MIT */
#include "worker/py/watchdog.h"

#include "common/conf_compat.h"
#include "common/heritage.h"
#include "common/log.h"
#include "common/msg.h"
#include "worker/py/errors.h"
#include "worker/py/green.h"
#include "worker/py/trace.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>

#define INTERRUPT_SIGNAL (HERITAGE_TRACE_SIGNAL + 2)
#define TEXT_MAX (16 * 1024)
#define DUMP_MAX (256 * 1024)

struct overdue {
	struct overdue *next;
	struct call *call; /* borrowed, never freed; NULL: not begun */
	uint64_t serial, age_ns;
	char *stack; /* owned: of a greenlet that waits; NULL: its thread's */
	char line[320];
};

static struct watchdog {
	struct state *st; /* borrowed */
	pthread_t thread;
	bool green;
	sem_t work;
	_Atomic bool stopping;
	_Atomic(struct overdue *) posted; /* by the I/O thread, newest first */
	char dump[DUMP_MAX];              /* the thread's own */
} watchdog;

/* ---- The I/O thread's call ---- */

static void
describe(char *buf, size_t cap, const struct req *r)
{
	struct str method = span_str(r->base, r->head.method);
	struct str target = span_str(r->base, r->head.target);

	snprintf(buf, cap, "%.*s %.*s", (int)MIN(method.n, (size_t)32), method.p,
	    (int)MIN(target.n, (size_t)256), target.p);
	for (char *p = buf; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			*p = '?';
}

bool
watchdog_overdue(struct req *r)
{
	struct call *c = __atomic_load_n((struct call **)&r->app, __ATOMIC_SEQ_CST);
	struct overdue *o = calloc(1, sizeof(*o));

	if (o == NULL) {
		log_error("app", "request timed out", "memory=none");
		return c != NULL;
	}
	o->call = c;
	o->serial = r->serial;
	o->age_ns = executor_clock_ns() - r->start_ns;
	describe(o->line, sizeof(o->line), r);
	if (c != NULL)
		atomic_store(&c->doomed, r->serial);
	o->next = atomic_load_explicit(&watchdog.posted, memory_order_relaxed);
	while (!atomic_compare_exchange_weak(&watchdog.posted, &o->next, o))
		;
	sem_post(&watchdog.work);
	return c != NULL;
}

/* ---- With the GIL ---- */

bool
watchdog_take(struct call *c)
{
	uint64_t serial = atomic_load(&c->doomed);

	if (serial == 0 || !c->in_app || c->req->serial != serial)
		return false;
	atomic_store(&c->doomed, 0);
	return true;
}

/* The Python handler of INTERRUPT_SIGNAL: the main thread, between two instructions or in a
 * system call that can be interrupted. */
static PyObject *
on_interrupt(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	struct app_thread *t = app_thread_current();
	struct call *c = NULL;

	(void)self;
	(void)args;
	(void)nargs;
	if (t != NULL)
		c = t->green ? green_current_overdue() : t->running;
	if (c == NULL || !watchdog_take(c))
		Py_RETURN_NONE;
	PyErr_SetNone(watchdog.st->request_timeout);
	return NULL;
}

static PyMethodDef interrupt_method = {"interrupt",
    (PyCFunction)(void (*)(void))on_interrupt, METH_FASTCALL, "Ends an overdue request."};

/* Pool threads. What is not raised when the application returns, call_leave_app()
 * withdraws.
 */
static void
interrupt_pool(void)
{
	for (unsigned i = 1; i < executor_thread_count(); i++) {
		struct app_thread *t = executor_thread(i);

		if (t->running == NULL || !watchdog_take(t->running))
			continue;
		t->async_set = true;
		PyThreadState_SetAsyncExc(t->ident, watchdog.st->request_timeout);
	}
}

/* Before a dump: greenlets that wait are in no thread's stack. */
static void
describe_greenlets(void *list)
{
	for (struct overdue *o = list; o != NULL; o = o->next)
		if (o->call != NULL && o->call->in_app && o->call->req->serial == o->serial)
			o->stack = green_stack(o->call, TEXT_MAX);
}

/* ---- The thread ---- */

static void
report(const struct overdue *o, struct str dump)
{
	const struct app_thread *t = o->call != NULL ? o->call->thread : NULL;
	struct str stack = o->stack != NULL ? str_of(o->stack) : dump;
	char where[64] = "waiting for an application thread", text[TEXT_MAX];
	int n;

	if (t != NULL) {
		snprintf(where, sizeof(where), "in application thread %u", t->index);
		if (o->stack == NULL)
			stack = trace_of_thread(dump, t->ident);
	}
	n = snprintf(text, sizeof(text),
	    "%s\nafter %.1f s, %s, most recent call first:\n%.*s", o->line,
	    (double)o->age_ns / 1e9, where, (int)MIN(stack.n, (size_t)TEXT_MAX),
	    stack.p != NULL ? stack.p : "");
	n = MIN(n, TEXT_MAX - 1);
	log_text(LOG_LVL_ERROR, "app", "request timed out", (struct str){text, (size_t)n});
	if (msg_send(HERITAGE_CHANNEL_FD, MSG_OVERDUE, text, (size_t)n, NULL, 0) < 0)
		log_warn("worker", "the master did not hear of an overdue request", NULL);
}

static void
interrupt(const struct overdue *o)
{
	struct app_thread *t;

	if (o->call == NULL)
		return;
	t = o->call->thread;
	if (t->green && green_news(o->call, CALL_OVERDUE))
		sleeper_wake(&t->sleeper);
	if (t->index == 0)
		pthread_kill((pthread_t)t->ident, INTERRUPT_SIGNAL);
	else
		trace_call_with_gil(interrupt_pool);
}

static struct overdue *
take_posted(void)
{
	struct overdue *o = atomic_exchange(&watchdog.posted, NULL), *list = NULL;

	while (o != NULL) {
		struct overdue *older = o->next;

		o->next = list;
		list = o;
		o = older;
	}
	return list;
}

static void
handle_posted(void)
{
	struct overdue *list = take_posted();
	struct str dump = {watchdog.dump, 0};

	if (list == NULL)
		return;
	dump.n = trace_own(watchdog.green ? describe_greenlets : NULL, list, watchdog.dump,
	    sizeof(watchdog.dump));
	for (struct overdue *o = list; o != NULL; o = o->next)
		report(o, dump);
	while (list != NULL) {
		struct overdue *o = list;

		list = o->next;
		interrupt(o);
		free(o->stack);
		free(o);
	}
}

static void *
watchdog_main(void *arg)
{
	(void)arg;
	pthread_setname_np(pthread_self(), "shoal-watchdog");
	while (!atomic_load(&watchdog.stopping)) {
		if (sem_wait(&watchdog.work) < 0)
			continue;
		trace_answer();
		handle_posted();
	}
	return NULL;
}

/* ---- Start and end ---- */

static void
on_trace_asked(void)
{
	sem_post(&watchdog.work);
}

static int
start_thread(struct err *e)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&watchdog.thread, NULL, watchdog_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed ? err_set(e, "watchdog: %s", strerror(failed)) : 0;
}

int
watchdog_start(struct state *st, struct err *e)
{
	PyObject *handler = PyCFunction_New(&interrupt_method, NULL), *done = NULL;

	watchdog.st = st;
	watchdog.green = conf_compat_green(st->conf) != NULL;
	if (handler != NULL)
		done = state_call_boot(
		    st, "interrupt_register", "(iO)", INTERRUPT_SIGNAL, handler);
	Py_XDECREF(handler);
	if (done == NULL)
		return errors_to_err(e, "the watchdog could not be started");
	Py_DECREF(done);
	if (sem_init(&watchdog.work, 0, 0) < 0)
		return err_errno(e, "watchdog");
	if (trace_open(st, on_trace_asked, e) < 0)
		return -1;
	return start_thread(e);
}

void
watchdog_stop(void)
{
	trace_close();
	atomic_store(&watchdog.stopping, true);
	sem_post(&watchdog.work);
	pthread_join(watchdog.thread, NULL);
}

int
watchdog_add_exception(struct state *st, PyObject *module)
{
	st->request_timeout = PyErr_NewExceptionWithDoc("_shoal.RequestTimeout",
	    "The request passed its deadline and has been answered 504.",
	    PyExc_BaseException, NULL);
	if (st->request_timeout == NULL)
		return -1;
	return PyObject_SetAttrString(module, "RequestTimeout", st->request_timeout);
}
