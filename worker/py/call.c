/* One request inside Python: build, call, iterate, close, hooks. Every path ends in
 * finish_call(), exactly once. SPDX-License-Identifier: MIT */
#include "worker/py/call.h"

#include "worker/py/environ.h"
#include "worker/py/errors.h"
#include "worker/py/face.h"
#include "worker/py/green.h"
#include "worker/py/hooks.h"
#include "worker/py/response.h"
#include "worker/py/shape.h"
#include "worker/py/start_response.h"
#include "worker/py/sock.h"
#include "worker/py/transfer.h"

/* The application's time in this call up to now. */
static void
stop_clock(struct call *c)
{
	const uint64_t now = executor_clock_ns();

	c->req->app_ns += now - c->since_ns;
	c->thread->now_ns = now;
}

/* Calls are never freed, only kept: a late body() or pull() of the I/O thread may still
 * look at the waiter of one. */
static struct call *
call_take(struct app_thread *t)
{
	struct call *c = t->free_calls;

	if (LIKELY(c != NULL)) {
		t->free_calls = c->next_free;
		return c;
	}
	c = calloc(1, sizeof(*c));
	if (c != NULL)
		c->foreign.efd = -1;
	return c;
}

static void
call_put(struct app_thread *t, struct call *c)
{
	c->next_free = t->free_calls;
	t->free_calls = c;
}

static void
call_init(struct call *c, struct app_thread *t, struct req *r)
{
	struct str method = span_str(r->base, r->head.method);

	c->req = r;
	c->thread = t;
	c->since_ns = t->now_ns;
	r->queue_ns = t->now_ns - MIN(r->ready_ns, t->now_ns);
	if (t->green)
		c->greenlet = green_starting();
	c->head_request = method.n == 4 && memcmp(method.p, "HEAD", 4) == 0;
	c->ending = c->hooked = c->begun = c->head_out = c->cut_logged = false;
	c->input_used = c->input_broken = false;
	c->finish_flags = 0;
	c->min_chunk = 0;
	c->resp.framing = RESP_CLOSE;
	atomic_store_explicit(&c->pull, PULL_NONE, memory_order_relaxed);
	req_taken(r, t->index);
	__atomic_store_n((struct call **)&r->app, c, __ATOMIC_SEQ_CST);
	executor_count(1);
}

void
call_detach(struct call *c)
{
	struct sleeper *s;

	if (c->faces[FACE_TRANSFER] != NULL)
		transfer_freeze(c);
	if (UNLIKELY(c->faces[FACE_SOCKET] != NULL))
		sock_end(c->faces[FACE_SOCKET]);
	for (int k = 0; k < FACE_KINDS; k++) {
		struct face *f = (struct face *)c->faces[k];

		if (f != NULL)
			f->call = NULL;
	}
	s = atomic_exchange(&c->waiter, NULL);
	if (UNLIKELY(s != NULL))
		sleeper_wake(
		    s); /* a thread of the application's own: it finds the request over */
	green_release(c);
}

/* After the request was given back: drops what Python holds. */
static void
call_drop(struct call *c)
{
	struct app_thread *t = app_thread_current();

	c->req = NULL;
	Py_CLEAR(c->iter);
	Py_CLEAR(c->result);
	Py_CLEAR(c->env);
	Py_CLEAR(c->account);
	shapes_take_back(c);
	Py_CLEAR(c->context);
	Py_CLEAR(c->greenlet);
	response_clear(c);
	call_put(t, c);
	executor_count(-1);
}

/* In between c may be interrupted. */
static inline void
enter_app(struct call *c)
{
	c->in_app = true;
	c->thread->running = c;
}

static inline void
leave_app(struct call *c)
{
	struct app_thread *t = c->thread;

	c->in_app = false;
	t->running = NULL;
	if (UNLIKELY(
		t->async_set)) { /* not raised in time: it must not meet what follows */
		t->async_set = false;
		PyThreadState_SetAsyncExc(t->ident, NULL);
	}
}

static int
enter_context(struct call *c)
{
	return PyContext_Enter(c->context);
}

static void
leave_context(struct call *c)
{
	if (c->context != NULL && PyContext_Exit(c->context) < 0)
		PyErr_Clear(); /* the application swapped contexts and left its own behind
				*/
}

/* Its request has been answered, and reported with the stack of the moment. */
static bool
was_interrupted(const struct call *c)
{
	return PyErr_ExceptionMatches(c->thread->st->request_timeout) &&
	       atomic_load(&c->req->aborted);
}

static void
count_error(enum app_stage stage)
{
	atomic_fetch_add_explicit(&app_counts.errors[stage], 1, memory_order_relaxed);
}

/* An exception left the application. A client that went away while its body was read is
 * its own explanation. */
static void
fail(struct call *c, enum app_stage stage)
{
	PyObject *traceback = NULL;

	if (was_interrupted(c)) {
		PyErr_Clear();
		c->finish_flags |= REQ_ABORT;
		return;
	}
	if (c->input_broken && PyErr_ExceptionMatches(PyExc_OSError)) {
		PyErr_Clear();
	} else {
		count_error(stage);
		traceback = errors_log_and_keep("application failed", c->req);
	}
	response_fail(c, traceback);
	Py_XDECREF(traceback);
}

static void
fail_to_close(struct call *c)
{
	count_error(APP_CLOSE);
	errors_log_pending("close() of the response failed", c->req);
}

static void
close_result(struct call *c)
{
	PyObject *close, *done;

	if (c->result == NULL || PyList_CheckExact(c->result) ||
	    PyTuple_CheckExact(c->result))
		return;
	close = PyObject_GetAttr(c->result, c->thread->st->keys[KEY_close]);
	if (close == NULL) {
		if (!PyErr_ExceptionMatches(PyExc_AttributeError))
			fail_to_close(c);
		PyErr_Clear();
		return;
	}
	req_out_publish(c->req); /* the client need not wait for it */
	enter_app(c);
	done = PyObject_CallNoArgs(close);
	leave_app(c);
	Py_DECREF(close);
	if (done == NULL && was_interrupted(c))
		PyErr_Clear();
	else if (done == NULL)
		fail_to_close(c);
	Py_XDECREF(done);
}

/* The end of the application's part: close(), then either everything is over, or the hooks
 * wait for the outcome. The context is entered. */
static void
finish_call(struct call *c)
{
	struct req *r = c->req;
	bool delivered;

	close_result(c);
	leave_context(c);
	stop_clock(c);
	delivered = hooks_pending(c, HOOKS_DELIVERED);
	if (UNLIKELY(delivered || hooks_pending(c, HOOKS_POST) || transfer_is_held(c))) {
		c->ending = true;
		req_finish(
		    r, c->finish_flags | REQ_NEEDS_END | (delivered ? REQ_WANTS_ACK : 0));
		return;
	}
	call_detach(c);
	req_finish(r, c->finish_flags);
	call_drop(c);
}

static void
run_response(struct call *c)
{
	enum response_step step = response_run(c);

	leave_app(c);
	switch (step) {
	case RESPONSE_PARKED:
		/* This thread will resume it, so c is still ours to touch. */
		leave_context(c);
		stop_clock(c);
		return;
	case RESPONSE_FAILED:
		fail(c, APP_ITERATE);
		break;
	case RESPONSE_GONE:
		break;
	case RESPONSE_DONE:
		if (response_finish(c) < 0)
			fail(c, APP_ITERATE);
		break;
	}
	finish_call(c);
}

static PyObject *
call_app(struct call *c, struct state *st)
{
	PyObject *args[3] = {NULL, c->env, start_response_object(c)};

	if (UNLIKELY(args[2] == NULL))
		return NULL;
	return PyObject_Vectorcall(
	    st->app, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

/* Without memory for the environ the application is never reached: no hooks. */
static void
refuse(struct req *r)
{
	errors_log_pending("request could not be handed to the application", r);
	req_finish(r, REQ_ABORT);
}

void
call_start(struct app_thread *t, struct req *r)
{
	struct state *st = t->st;
	struct call *c;

	if (UNLIKELY(atomic_load_explicit(&r->aborted, memory_order_relaxed))) {
		req_finish(
		    r, REQ_ABORT); /* gone while it waited: the application never sees it */
		return;
	}
	c = call_take(t);
	if (UNLIKELY(c == NULL)) {
		PyErr_NoMemory();
		refuse(r);
		return;
	}
	call_init(c, t, r);
	c->context = PyContext_Copy(st->context);
	if (UNLIKELY(c->context == NULL || environ_build(c) < 0 || enter_context(c) < 0)) {
		refuse(r);
		c->req = NULL;
		for (int k = 0; k < FACE_KINDS; k++)
			if (c->faces[k] != NULL)
				((struct face *)c->faces[k])->call = NULL;
		call_drop(c);
		return;
	}
	enter_app(c);
	c->result = call_app(c, st);
	if (LIKELY(c->result != NULL)) {
		run_response(c);
		return;
	}
	leave_app(c);
	fail(c, APP_CALL);
	finish_call(c);
}

void
call_resume(struct call *c)
{
	c->since_ns = c->thread->now_ns;
	if (UNLIKELY(enter_context(c) < 0)) {
		errors_log_pending("request could not be resumed", c->req);
		c->finish_flags |= REQ_ABORT;
		Py_CLEAR(c->context);
		finish_call(c);
		return;
	}
	enter_app(c);
	run_response(c);
}

/* What is due now; false: the delivered hooks are not. */
static bool
run_hooks(struct call *c)
{
	if (!c->hooked) {
		c->hooked = true;
		hooks_run(c, HOOKS_POST);
	}
	if (!atomic_load(&c->req->settled))
		return !hooks_pending(c, HOOKS_DELIVERED);
	hooks_run(c, HOOKS_DELIVERED);
	return true;
}

void
call_end(struct call *c)
{
	struct req *r = c->req;
	bool done;

	if (UNLIKELY(c->context == NULL || enter_context(c) < 0)) {
		PyErr_Clear();
		Py_CLEAR(c->context);
	}
	done = run_hooks(c);
	leave_context(c);
	if (!done) {
		req_await_ack(r); /* from here on c may be in another thread's hands */
		return;
	}
	call_detach(c);
	req_done(r);
	call_drop(c);
}

void
call_ask(struct call *c, enum call_wait what)
{
	if (what == CALL_BODY) {
		req_body_want(c->req);
		return;
	}
	atomic_store(&c->pull, PULL_WAKE);
	req_want_pull(c->req);
}

/* On a thread that has nothing else to do meanwhile. */
static int
sleep_for(struct face *face, enum call_wait what)
{
	struct call *c = face->call;
	struct app_thread *t = app_thread_current();
	struct sleeper *s = t != NULL ? &t->sleeper : &c->foreign;
	int rc;

	atomic_store(&c->waiter, s);
	call_ask(c, what);
	rc = sleeper_sleep(s, NULL);
	if (t != NULL)
		times_got_gil(t, s->rose_ns);
	if (face->call != NULL)
		atomic_store(&c->waiter, NULL);
	return rc;
}

int
call_wait(struct face *face, enum call_wait what)
{
	struct app_thread *t = app_thread_current();
	int rc;

	Py_INCREF(face);
	if (t != NULL && t->green)
		rc = green_wait(face->call, what);
	else
		rc = sleep_for(face, what);
	if (rc == 0 && face->call == NULL) {
		PyErr_SetString(PyExc_ValueError, "the request is over");
		rc = -1;
	}
	Py_DECREF(face);
	return rc;
}

int
call_wait_green(struct call *c)
{
	int rc;

	stop_clock(c); /* as for a parked call: the client's time, not the application's */
	rc = green_wait(c, CALL_ROOM);
	c->since_ns = executor_clock_ns();
	return rc;
}
