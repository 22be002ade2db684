/* What the application returned: a list, a file, or an iterable, item by item.
 * SPDX-License-Identifier: MIT */
#include "worker/py/response.h"

#include "worker/py/filewrapper.h"

#define EVENTLET_MIN_CHUNK 4096

/* The whole body is at hand: Content-Length, one hand-over. False: not all of it is bytes,
 * or the head is out already. No Python code runs here, so the list stays as it is. */
static bool
run_sequence(struct call *c, enum response_step *step)
{
	PyObject **items = PySequence_Fast_ITEMS(c->result);
	Py_ssize_t n = PySequence_Fast_GET_SIZE(c->result);
	uint64_t size = 0;

	if (c->head_out || c->held.n > 0)
		return false;
	for (Py_ssize_t i = 0; i < n; i++) {
		if (UNLIKELY(!PyBytes_Check(items[i])))
			return false;
		size += (uint64_t)PyBytes_GET_SIZE(items[i]);
	}
	*step = RESPONSE_FAILED;
	if (response_send_head(c, true, size) < 0)
		return true;
	for (Py_ssize_t i = 0; i < n; i++)
		if (response_send(c, items[i]) < 0)
			return true;
	*step = RESPONSE_DONE;
	return true;
}

/* --min-chunk, or what the application says in the environ. */
static int
choose_min_chunk(struct call *c)
{
	struct state *st = c->thread->st;
	PyObject *own = PyDict_GetItemWithError(c->env, st->keys[KEY_eventlet_min_chunk]);
	Py_ssize_t n;

	c->min_chunk = (size_t)st->conf->min_chunk;
	if (st->eventlet && c->min_chunk == 0)
		c->min_chunk = EVENTLET_MIN_CHUNK;
	if (own == NULL)
		return PyErr_Occurred() ? -1 : 0;
	n = PyNumber_AsSsize_t(own, PyExc_OverflowError);
	if (n == -1 && PyErr_Occurred())
		return -1;
	c->min_chunk = (size_t)MIN(MAX(n, 0), 1024 * 1024);
	return 0;
}

static enum response_step
run_iterator(struct call *c)
{
	iternextfunc next = Py_TYPE(c->iter)->tp_iternext;
	struct req *r = c->req;

	while (!atomic_load_explicit(&r->aborted, memory_order_relaxed)) {
		PyObject *item = next(c->iter);
		int rc;

		if (item == NULL) {
			if (PyErr_Occurred() &&
			    !PyErr_ExceptionMatches(PyExc_StopIteration))
				return RESPONSE_FAILED;
			PyErr_Clear();
			return RESPONSE_DONE;
		}
		rc = response_send(c, item);
		Py_DECREF(item);
		if (rc < 0)
			return RESPONSE_FAILED;
		if (c->head_out && c->resp.framing == RESP_NO_BODY)
			return RESPONSE_DONE;
		req_out_publish(r);
		if (LIKELY(!req_out_full(r)))
			continue;
		if (!c->thread->green) {
			atomic_store(&c->pull, PULL_RESUME);
			req_want_pull(r);
			return RESPONSE_PARKED;
		}
		while (req_out_full(r) && !atomic_load(&r->aborted))
			if (call_wait_green(c) < 0)
				return RESPONSE_FAILED;
	}
	c->finish_flags |= REQ_ABORT;
	return RESPONSE_GONE;
}

static bool
is_sequence(const struct call *c)
{
	return PyList_CheckExact(c->result) || PyTuple_CheckExact(c->result);
}

enum response_step
response_run(struct call *c)
{
	enum response_step step;

	if (c->iter != NULL)
		return run_iterator(c);
	if (LIKELY(is_sequence(c)) && run_sequence(c, &step))
		return step;
	if (filewrapper_send(c, &step))
		return step;
	c->iter = PyObject_GetIter(c->result);
	if (c->iter == NULL || choose_min_chunk(c) < 0)
		return RESPONSE_FAILED;
	return run_iterator(c);
}
