/* Application threads: the job queue, the main loop of each. SPDX-License-Identifier: MIT
 */
#include "worker/py/executor.h"

#include "common/log.h"
#include "worker/py/call.h"
#include "common/conf_compat.h"
#include "worker/py/errors.h"
#include "worker/py/green.h"
#include "worker/py/lend.h"
#include "worker/py/names.h"
#include "worker/py/paths.h"
#include "worker/py/peers.h"
#include "worker/py/shape.h"
#include "worker/py/sleeper.h"
#include "worker/py/watchdog.h"

#include <pthread.h>
#include <time.h>

/* app_ops has no user pointer: one worker process has one executor. */
static struct executor {
	struct state *st;            /* borrowed */
	struct app_thread **threads; /* owned; set before the I/O thread starts */
	unsigned n_threads;
	_Atomic(struct req *) posted; /* by the I/O thread, newest first */
	pthread_mutex_t lock;         /* protects head; not taken with one thread */
	struct req *head;             /* taken from posted, oldest first */
	_Atomic bool more;            /* head was not empty when last looked at */
	bool work_came;               /* I/O thread's own: flush() has somebody to wake */
	_Atomic int awake;            /* threads not idle */
	_Atomic bool helper;          /* one more was woken and has not looked yet */
	_Atomic bool stopping;
	_Atomic int live; /* requests between start and end */
} executor = {.lock = PTHREAD_MUTEX_INITIALIZER};

static __thread struct app_thread *current;

struct app_thread *
app_thread_current(void)
{
	return current;
}

unsigned
executor_thread_count(void)
{
	return executor.n_threads;
}

struct app_thread *
executor_thread(unsigned index)
{
	return executor.threads[index];
}

/* ---- The I/O thread's calls: no GIL, no waiting ---- */

static void
push(_Atomic(struct req *) *stack, struct req *r)
{
	struct req *head = atomic_load_explicit(stack, memory_order_relaxed);

	do {
		r->app_next = head;
	} while (!atomic_compare_exchange_weak(stack, &head, r));
}

static void
on_start(struct req *r)
{
	r->app = NULL;
	push(&executor.posted, r);
	executor.work_came = true;
}

static void
on_end(struct req *r)
{
	push(&executor.posted, r);
	executor.work_came = true;
}

static void
wake_waiter(struct call *c, enum call_wait what)
{
	struct sleeper *s = atomic_load(&c->waiter);

	if (s != NULL)
		sleeper_wake(s);
	if (executor.threads[0]->green && green_news(c, what))
		executor.work_came = true;
}

static void
on_body(struct req *r)
{
	struct call *c = __atomic_load_n((struct call **)&r->app, __ATOMIC_SEQ_CST);

	if (c != NULL)
		wake_waiter(c, CALL_BODY);
}

static void
on_pull(struct req *r)
{
	struct call *c = __atomic_load_n((struct call **)&r->app, __ATOMIC_SEQ_CST);
	struct app_thread *t;

	if (c == NULL)
		return;
	switch (atomic_exchange(&c->pull, PULL_NONE)) {
	case PULL_RESUME:
		t = executor.threads[r->app_thread];
		push(&t->inbox, r);
		sleeper_wake(&t->sleeper);
		break;
	case PULL_WAKE:
		wake_waiter(c, CALL_ROOM);
		break;
	default:
		break;
	}
}

static void
on_release(void *owner)
{
	if (lend_return(owner))
		executor.work_came = true;
}

/* One sleeper is enough: who takes work while more is waiting wakes the next. The first
 * threads are preferred, their caches are warm. While others are awake, a thread woken in
 * addition only fights them for the GIL, unless they block: it is a helper, there is one
 * at a time, and it looks again after a moment whether there is still something to do. */
static void
wake_one(void)
{
	if (atomic_load(&executor.awake) > 0 && executor.n_threads > 1 &&
	    atomic_exchange(&executor.helper, true))
		return;
	for (unsigned i = 0; i < executor.n_threads; i++) {
		if (sleeper_is_idle(&executor.threads[i]->sleeper)) {
			sleeper_wake(&executor.threads[i]->sleeper);
			return;
		}
	}
	atomic_store(&executor.helper, false);
}

static void
on_flush(void)
{
	if (!executor.work_came)
		return;
	executor.work_came = false;
	wake_one();
}

static void
wake_all(void)
{
	for (unsigned i = 0; i < executor.n_threads; i++)
		sleeper_wake(&executor.threads[i]->sleeper);
}

static void
on_stop(void)
{
	atomic_store(&executor.stopping, true);
	wake_all();
}

const struct app_ops executor_ops = {
    .start = on_start,
    .body = on_body,
    .pull = on_pull,
    .end = on_end,
    .overdue = watchdog_overdue,
    .release = on_release,
    .flush = on_flush,
    .stop = on_stop,
    .counts = &app_counts,
    .times = times_read,
};

/* ---- Application threads ---- */

void
executor_count(int n)
{
	if (atomic_fetch_add(&executor.live, n) + n == 0 && atomic_load(&executor.stopping))
		wake_all();
}

/* A stack, newest first, as a list with the oldest first; *last is its end. */
static struct req *
take_all(_Atomic(struct req *) *stack, struct req **last)
{
	struct req *r = atomic_exchange(stack, NULL), *list = NULL;

	*last = r;
	while (r != NULL) {
		struct req *next = r->app_next;

		r->app_next = list;
		list = r;
		r = next;
	}
	return list;
}

static struct req *
queue_take_locked(void)
{
	struct req *r, *last;

	if (executor.head == NULL)
		executor.head = take_all(&executor.posted, &last);
	r = executor.head;
	if (r != NULL)
		executor.head = r->app_next;
	return r;
}

struct req *
executor_take(void)
{
	struct req *r;
	bool more;

	if (executor.n_threads == 1)
		return queue_take_locked();
	pthread_mutex_lock(&executor.lock);
	r = queue_take_locked();
	more = executor.head != NULL || atomic_load(&executor.posted) != NULL;
	atomic_store(&executor.more, more);
	pthread_mutex_unlock(&executor.lock);
	if (more)
		wake_one();
	return r;
}

bool
executor_all_done(void)
{
	return atomic_load(&executor.stopping) && atomic_load(&executor.live) == 0 &&
	       atomic_load(&executor.posted) == NULL;
}

bool
executor_has_work(const void *arg)
{
	const struct app_thread *t = arg;

	return atomic_load(&t->inbox) != NULL || atomic_load(&executor.posted) != NULL ||
	       atomic_load(&executor.more) || lend_any_returned() || green_has_news() ||
	       executor_all_done();
}

#define HELPER_PAUSE_NS 100000

/* A woken thread, before it takes the GIL. */
static bool
should_rise(const void *arg)
{
	const struct timespec pause = {.tv_nsec = HELPER_PAUSE_NS};

	if (atomic_load(&executor.awake) > 0)
		nanosleep(&pause, NULL);
	atomic_store(&executor.helper, false);
	return executor_has_work(arg);
}

uint64_t
executor_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void
executor_run_one(struct app_thread *t, struct req *r)
{
	struct call *c = r->app;

	if (c == NULL)
		call_start(t, r);
	else
		call_end(c);
}

static void
resume_inbox(struct app_thread *t)
{
	struct req *last, *r = take_all(&t->inbox, &last);

	while (r != NULL) {
		struct req *next = r->app_next;

		call_resume(r->app);
		r = next;
	}
}

static void
thread_run(struct app_thread *t)
{
	const struct sleeper_idle idle = {executor_has_work, should_rise, t};
	struct req *r;
	bool failed;

	current = t;
	t->ident = PyThread_get_thread_ident();
	atomic_fetch_add(&executor.awake, 1);
	times_start(t);
	for (;;) {
		lend_drop_returned();
		if (atomic_load_explicit(&t->inbox, memory_order_relaxed) != NULL)
			resume_inbox(t);
		r = executor_take();
		if (r != NULL) {
			executor_run_one(t, r);
			continue;
		}
		if (executor_all_done())
			break;
		atomic_fetch_sub(&executor.awake, 1);
		times_lie_down(t);
		failed = sleeper_sleep(&t->sleeper, &idle) < 0;
		atomic_fetch_add(&executor.awake, 1);
		atomic_store(&executor.helper, false); /* a signal may have been quicker */
		if (failed)
			errors_log_pending("signal handler failed", NULL);
		t->now_ns = executor_clock_ns();
		times_rise(t);
	}
	atomic_fetch_sub(&executor.awake, 1);
	current = NULL;
}

PyObject *
executor_pool_thread(PyObject *module, PyObject *index)
{
	long i = PyLong_AsLong(index);

	(void)module;
	if (i <= 0 || (unsigned long)i >= executor.n_threads) {
		PyErr_SetString(PyExc_ValueError, "no such application thread");
		return NULL;
	}
	thread_run(executor.threads[i]);
	Py_RETURN_NONE;
}

static struct app_thread *
thread_create(struct state *st, uint32_t index, struct err *e)
{
	struct app_thread *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		err_set(e, "out of memory for application thread %u", index);
		return NULL;
	}
	t->index = index;
	t->st = st;
	t->capitalize = st->conf->capitalize_headers || st->eventlet;
	t->names = names_create();
	t->peers = peers_create(st);
	t->paths = paths_create(st);
	t->shapes = shapes_create();
	if (t->names != NULL && t->peers != NULL && t->paths != NULL && t->shapes != NULL &&
	    sleeper_open(&t->sleeper) == 0)
		return t;
	err_errno(e, "application thread %u", index);
	names_destroy(t->names);
	peers_destroy(t->peers);
	paths_destroy(t->paths);
	shapes_destroy(t->shapes);
	free(t);
	return NULL;
}

static int
threads_run(struct state *st, struct err *e)
{
	PyObject *threads, *done;

	threads = state_call_boot(
	    st, "start_threads", "(OI)", st->pool_thread, executor.n_threads);
	if (threads == NULL)
		return errors_to_err(e, "application threads could not be started");
	thread_run(executor.threads[0]);
	done = state_call_boot(st, "join_threads", "(O)", threads);
	if (done == NULL)
		errors_log_pending("application threads could not be joined", NULL);
	Py_XDECREF(done);
	Py_DECREF(threads);
	return 0;
}

static int
green_thread_run(struct app_thread *t)
{
	current = t;
	t->ident = PyThread_get_thread_ident();
	times_start(t);
	green_run();
	current = NULL;
	return 0;
}

int
executor_run(struct state *st, struct err *e)
{
	const char *library = conf_compat_green(st->conf);
	unsigned n = library != NULL ? 1 : (unsigned)st->conf->threads;
	int rc;

	executor.st = st;
	executor.threads = calloc(n, sizeof(*executor.threads));
	if (executor.threads == NULL)
		return err_set(e, "out of memory for %u application threads", n);
	for (unsigned i = 0; i < n; i++) {
		executor.threads[i] = thread_create(st, i, e);
		if (executor.threads[i] == NULL)
			return -1;
	}
	executor.n_threads = n;
	if (library != NULL && green_open(executor.threads[0], library, e) < 0)
		return -1;
	if (watchdog_start(st, e) < 0 || worker_start(st->worker, &executor_ops, e) < 0)
		return -1;
	rc = library == NULL ? threads_run(st, e) : green_thread_run(executor.threads[0]);
	watchdog_stop();
	return rc;
}
