/* Post hooks: (func, args, kwargs) tuples, called as func(env, *args, **kwargs) when the
 * outcome is known. SPDX-License-Identifier: MIT */
#include "worker/py/hooks.h"

#include "worker/py/errors.h"

static const enum key_id hook_keys[] = {
    [HOOKS_POST] = KEY_eventlet_posthooks,
    [HOOKS_DELIVERED] = KEY_shoal_delivered_hooks,
};

/* What is under the key at the end (an application may have put its own list there): a
 * borrowed reference, NULL when there is nothing to run. */
static PyObject *
find_hooks(struct call *c, enum key_id key)
{
	PyObject *list = PyDict_GetItemWithError(c->env, c->thread->st->keys[key]);

	if (list == NULL) {
		PyErr_Clear();
		return NULL;
	}
	if (LIKELY(PyList_CheckExact(list)))
		return PyList_GET_SIZE(list) > 0 ? list : NULL;
	return list == Py_None ? NULL : list;
}

bool
hooks_pending(struct call *c, enum hooks which)
{
	return c->env != NULL && find_hooks(c, hook_keys[which]) != NULL;
}

/* func(env, *args, **kwargs); -1: exception. */
static int
call_hook(PyObject *env, PyObject *hook)
{
	PyObject *parts, *head = NULL, *args = NULL, *rest = NULL, *result = NULL, *kwargs;

	parts = PySequence_Tuple(hook);
	if (parts == NULL || PyTuple_GET_SIZE(parts) != 3) {
		PyErr_Format(PyExc_TypeError,
		    "a post hook must be a (func, args, kwargs) tuple, not %R", hook);
		goto out;
	}
	kwargs = PyTuple_GET_ITEM(parts, 2);
	head = PyTuple_Pack(1, env);
	rest = PySequence_Tuple(PyTuple_GET_ITEM(parts, 1));
	if (head == NULL || rest == NULL)
		goto out;
	args = PySequence_Concat(head, rest);
	if (args == NULL)
		goto out;
	if (kwargs == Py_None) {
		result = PyObject_Call(PyTuple_GET_ITEM(parts, 0), args, NULL);
	} else if (PyDict_Check(kwargs)) {
		result = PyObject_Call(PyTuple_GET_ITEM(parts, 0), args, kwargs);
	} else {
		PyErr_Format(PyExc_TypeError,
		    "the kwargs of a post hook must be a dict, not %.100s",
		    Py_TYPE(kwargs)->tp_name);
	}
out:
	Py_XDECREF(parts);
	Py_XDECREF(head);
	Py_XDECREF(rest);
	Py_XDECREF(args);
	Py_XDECREF(result);
	return result == NULL ? -1 : 0;
}

static void
run_list(struct call *c, PyObject *list)
{
	PyObject *it = PyObject_GetIter(list), *hook;
	struct app_thread *t = c->thread;
	uint64_t began = executor_clock_ns();

	while (it != NULL && (hook = PyIter_Next(it)) != NULL) {
		atomic_fetch_add_explicit(&app_counts.hooks_run, 1, memory_order_relaxed);
		if (call_hook(c->env, hook) < 0) {
			atomic_fetch_add_explicit(
			    &app_counts.hook_errors, 1, memory_order_relaxed);
			errors_log_pending("post hook failed", c->req);
		}
		Py_DECREF(hook);
		t->now_ns = executor_clock_ns();
		seg_count_duration(
		    t->st->worker->seg, DURATION_posthook, t->now_ns - began);
		began = t->now_ns;
	}
	Py_XDECREF(it);
	if (PyErr_Occurred())
		errors_log_pending("list of post hooks cannot be iterated", c->req);
}

void
hooks_run(struct call *c, enum hooks which)
{
	PyObject *list = find_hooks(c, hook_keys[which]);

	if (list == NULL)
		return;
	Py_INCREF(list);
	run_list(c, list);
	Py_DECREF(list);
}
