/* Green threads: a greenlet per request. The hub is the library's own; to it we are one
 * more descriptor that becomes readable. Why no lock is needed: everything here but
 * green_news() runs on one thread, and greenlets change only where this file switches or
 * the application does. Nothing another thread writes is on a greenlet's stack, which is
 * copied away. SPDX-License-Identifier: MIT */
#include "worker/py/green.h"

#include "worker/py/chunks.h"
#include "worker/py/errors.h"
#include "worker/py/lend.h"
#include "worker/py/watchdog.h"

#include <fcntl.h>
#include <stdio.h>

/* Greenlets started in one go before the hub sees to its timers and descriptors. */
#define TURN_JOBS 64

/* A greenlet that switched to the hub. On the heap: its stack is not where it was. */
struct green_wait {
	PyObject *greenlet; /* owned */
	bool released;      /* in green.released */
	struct green_wait *prev, *next;
};

static struct green {
	struct app_thread *thread;   /* borrowed */
	PyObject *type;              /* owned: greenlet.greenlet */
	PyObject *getcurrent;        /* owned */
	PyObject *to_hub;            /* owned: the hub's switch() */
	PyObject *detach;            /* owned: takes the eventfd from the hub */
	PyObject *main;              /* owned: the greenlet that waits in green_run() */
	PyObject *job_function;      /* owned: what a new greenlet runs */
	PyObject *switch_name;       /* owned: "switch" */
	struct req *job;             /* for the greenlet being started */
	PyObject *starting;          /* borrowed: that greenlet */
	struct green_wait *released; /* their calls are over */
	_Atomic(struct call *) news; /* by the I/O thread, newest first */
	bool over;
} green;

/* ---- The I/O thread's call ---- */

bool
green_news(struct call *c, enum call_wait what)
{
	struct call *head;

	if (atomic_fetch_or(&c->news, 1u << what) != 0)
		return false; /* it is in the list already */
	head = atomic_load_explicit(&green.news, memory_order_relaxed);
	do {
		c->news_next = head;
	} while (!atomic_compare_exchange_weak(&green.news, &head, c));
	return true;
}

bool
green_has_news(void)
{
	return atomic_load(&green.news) != NULL || green.released != NULL;
}

/* ---- Switching ---- */

/* Runs a greenlet until it switches back or ends. */
static void
switch_to(PyObject *greenlet)
{
	PyObject *done = PyObject_CallMethodNoArgs(greenlet, green.switch_name);

	if (UNLIKELY(done == NULL))
		errors_log_pending("a greenlet's exception reached the hub", NULL);
	Py_XDECREF(done);
}

/* The body of every greenlet that is started here. */
static PyObject *
on_job(PyObject *self, PyObject *unused)
{
	struct req *r = green.job;

	(void)self;
	(void)unused;
	green.job = NULL;
	executor_run_one(green.thread, r);
	Py_RETURN_NONE;
}

/* Without memory for a greenlet. Hooks run here, where they cannot wait. */
static void
run_without(struct req *r)
{
	if (r->app == NULL)
		req_finish(r, REQ_ABORT);
	else
		call_end(r->app);
}

static void
start_job(struct req *r)
{
	PyObject *greenlet = PyObject_CallOneArg(green.type, green.job_function);

	green.job = r;
	green.starting = greenlet;
	if (LIKELY(greenlet != NULL))
		switch_to(greenlet);
	else
		errors_log_pending("a greenlet could not be started", r);
	Py_XDECREF(greenlet);
	if (UNLIKELY(green.job != NULL)) {
		green.job = NULL;
		run_without(r);
	}
}

static void
unlink_released(struct green_wait *w)
{
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		green.released = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	w->released = false;
}

static void
resume(struct green_wait *w)
{
	PyObject *greenlet = w->greenlet;

	/* w is gone when the greenlet has gone on. */
	Py_INCREF(greenlet);
	switch_to(greenlet);
	Py_DECREF(greenlet);
}

/* Past its deadline: it waits, since the hub runs. */
static void
interrupt(struct call *c)
{
	PyObject *greenlet, *done;

	if (!watchdog_take(c) || c->greenlet == NULL)
		return;
	greenlet = c->greenlet;
	Py_INCREF(greenlet);
	done =
	    PyObject_CallMethod(greenlet, "throw", "O", green.thread->st->request_timeout);
	Py_DECREF(greenlet);
	if (UNLIKELY(done == NULL))
		errors_log_pending("a greenlet's exception reached the hub", NULL);
	Py_XDECREF(done);
}

static void
resume_some(void)
{
	struct call *c = NULL;

	while (green.released != NULL) {
		struct green_wait *w = green.released;

		unlink_released(w);
		resume(w);
	}
	if (atomic_load_explicit(&green.news, memory_order_relaxed) != NULL)
		c = atomic_exchange(&green.news, NULL);
	while (c != NULL) {
		struct call *next = c->news_next;
		unsigned bits = atomic_exchange(&c->news, 0);

		if (UNLIKELY(bits & (1u << CALL_OVERDUE)))
			interrupt(c);
		for (unsigned what = 0; what < CALL_WAITS; what++) {
			struct green_wait *w = c->green[what];

			if ((bits & (1u << what)) == 0 || w == NULL)
				continue;
			c->green[what] = NULL;
			resume(w);
		}
		c = next;
	}
}

/* The hub's callback: the eventfd is readable. Runs in the hub's greenlet. */
static PyObject *
on_turn(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	struct app_thread *t = green.thread;
	struct req *r;
	int jobs = 0;

	(void)self;
	(void)args;
	(void)nargs;
	sleeper_rise(&t->sleeper);
	t->now_ns = executor_clock_ns();
	do {
		lend_drop_returned();
		resume_some();
		for (; jobs < TURN_JOBS && (r = executor_take()) != NULL; jobs++)
			start_job(r);
		if (UNLIKELY(jobs >= TURN_JOBS)) {
			sleeper_call_again(&t->sleeper);
			break;
		}
		if (UNLIKELY(executor_all_done())) {
			green.over = true;
			switch_to(green.main);
			break;
		}
	} while (!sleeper_lie_down(&t->sleeper, executor_has_work, t));
	req_app_idle();
	Py_RETURN_NONE;
}

/* ---- Deadlines ---- */

PyObject *
green_starting(void)
{
	Py_XINCREF(green.starting);
	return green.starting;
}

struct call *
green_current_overdue(void)
{
	PyObject *greenlet = PyObject_CallNoArgs(green.getcurrent);
	struct call *c = NULL;

	/* Only this thread takes from the list. */
	if (greenlet != NULL) {
		c = atomic_load(&green.news);
		while (c != NULL && c->greenlet != greenlet)
			c = c->news_next;
	}
	PyErr_Clear();
	Py_XDECREF(greenlet);
	return c;
}

/* One line as faulthandler writes it. False: no more fits. */
static bool
append_frame(char *text, size_t *n, size_t max, PyFrameObject *frame)
{
	PyCodeObject *code = PyFrame_GetCode(frame);
	const char *file = PyUnicode_AsUTF8(code->co_filename);
	const char *name = PyUnicode_AsUTF8(code->co_name);
	int len = snprintf(text + *n, max - *n, "  File \"%s\", line %d in %s\n",
	    file != NULL ? file : "?", PyFrame_GetLineNumber(frame),
	    name != NULL ? name : "?");

	PyErr_Clear();
	Py_DECREF(code);
	if (len < 0 || (size_t)len >= max - *n) {
		text[*n] = '\0';
		return false;
	}
	*n += (size_t)len;
	return true;
}

char *
green_stack(const struct call *c, size_t max)
{
	PyObject *frame =
	    c->greenlet != NULL ? PyObject_GetAttrString(c->greenlet, "gr_frame") : NULL;
	char *text = frame != NULL && frame != Py_None ? calloc(1, max) : NULL;
	size_t n = 0;

	while (text != NULL && frame != NULL && frame != Py_None &&
	       append_frame(text, &n, max, (PyFrameObject *)frame)) {
		PyObject *back = PyObject_GetAttrString(frame, "f_back");

		Py_DECREF(frame);
		frame = back;
	}
	PyErr_Clear();
	Py_XDECREF(frame);
	return text;
}

/* ---- Waiting ---- */

static struct green_wait *
wait_create(void)
{
	struct green_wait *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		PyErr_NoMemory();
		return NULL;
	}
	w->greenlet = PyObject_CallNoArgs(green.getcurrent);
	if (w->greenlet != NULL)
		return w;
	free(w);
	return NULL;
}

int
green_wait(struct call *c, enum call_wait what)
{
	struct green_wait *w;
	PyObject *done;

	if (UNLIKELY(c->green[what] != NULL)) {
		PyErr_SetString(PyExc_RuntimeError,
		    "another greenlet waits for the same request already");
		return -1;
	}
	w = wait_create();
	if (UNLIKELY(w == NULL))
		return -1;
	c->green[what] = w;
	call_ask(c, what);
	req_app_idle();
	done = PyObject_CallNoArgs(green.to_hub);
	/* Woken by somebody else (a timeout of the library's): the news must not find us.
	 */
	if (w->released)
		unlink_released(w);
	else if (c->green[what] == w)
		c->green[what] = NULL;
	Py_DECREF(w->greenlet);
	free(w);
	Py_XDECREF(done);
	return done == NULL ? -1 : 0;
}

void
green_release(struct call *c)
{
	for (unsigned what = 0; what < CALL_WAITS; what++) {
		struct green_wait *w = c->green[what];

		if (LIKELY(w == NULL))
			continue;
		c->green[what] = NULL;
		w->released = true;
		w->prev = NULL;
		w->next = green.released;
		if (w->next != NULL)
			w->next->prev = w;
		green.released = w;
		sleeper_wake(&green.thread->sleeper);
	}
}

/* ---- Start and end ---- */

static PyMethodDef job_method = {"job", on_job, METH_NOARGS, "One request, or its hooks."};
static PyMethodDef turn_method = {
    "turn", (PyCFunction)(void (*)(void))on_turn, METH_FASTCALL, "Start and resume."};

static int
attach(struct app_thread *t, const char *library)
{
	PyObject *turn = PyCFunction_New(&turn_method, NULL), *parts;
	int ok;

	if (turn == NULL)
		return -1;
	parts =
	    state_call_boot(t->st, "green_attach", "(siO)", library, t->sleeper.efd, turn);
	Py_DECREF(turn);
	if (parts == NULL)
		return -1;
	ok = PyArg_ParseTuple(
	    parts, "OOOO", &green.type, &green.getcurrent, &green.to_hub, &green.detach);
	if (ok) {
		Py_INCREF(green.type);
		Py_INCREF(green.getcurrent);
		Py_INCREF(green.to_hub);
		Py_INCREF(green.detach);
	}
	Py_DECREF(parts);
	return ok ? 0 : -1;
}

int
green_open(struct app_thread *t, const char *library, struct err *e)
{
	green.thread = t;
	t->green = true;
	/* The hub may call without need. */
	if (fcntl(t->sleeper.efd, F_SETFL, O_NONBLOCK) < 0)
		return err_errno(e, "eventfd of the %s loop", library);
	green.job_function = PyCFunction_New(&job_method, NULL);
	green.switch_name = PyUnicode_InternFromString("switch");
	if (green.job_function == NULL || green.switch_name == NULL ||
	    attach(t, library) < 0)
		return errors_to_err(e, "the hub could not be set up");
	green.main = PyObject_CallNoArgs(green.getcurrent);
	if (green.main == NULL)
		return errors_to_err(e, "the hub could not be set up");
	chunks_keep();
	/* Work that is there before the hub runs, and the first turn goes to sleep. */
	sleeper_call_again(&t->sleeper);
	return 0;
}

void
green_run(void)
{
	PyObject *done;

	/* What leaves the hub (a signal handler's exception, sys.exit() in a greenlet of
	 * the application's own) ends no worker. */
	while (!green.over) {
		done = PyObject_CallNoArgs(green.to_hub);
		if (done == NULL)
			errors_log_pending("an exception left the hub", NULL);
		Py_XDECREF(done);
	}
	done = PyObject_CallNoArgs(green.detach);
	if (done == NULL)
		errors_log_pending("the hub could not be left", NULL);
	Py_XDECREF(done);
}
