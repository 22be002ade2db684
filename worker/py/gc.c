/* Counts the runs of Python's garbage collector: it says when one begins and ends.
 * SPDX-License-Identifier: MIT */
#include "worker/py/gc.h"

#include "worker/py/executor.h"

#define GENERATIONS 3

/* The GIL protects it, and what it counts in the segment. */
static struct {
	struct seg *seg; /* borrowed; NULL: a mold, a process forked by the application, or
			    the end of a worker */
	uint64_t began_ns; /* 0: before we were here */
} watch;

/* Out of {"generation","collected","uncollectable"}; whoever likes can call us. */
static uint64_t
get_number(PyObject *info, enum key_id key)
{
	PyObject *v = NULL;
	uint64_t n = 0;

	if (PyDict_Check(info))
		v = PyDict_GetItemWithError(info, state_get()->keys[key]);
	if (v != NULL && PyLong_Check(v))
		n = PyLong_AsUnsignedLongLongMask(v);
	PyErr_Clear();
	return MIN(n, (uint64_t)INT32_MAX);
}

static void
count(PyObject *info, uint64_t ns)
{
	const unsigned generation =
	    (unsigned)MIN(get_number(info, KEY_gc_generation), GENERATIONS - 1u);

	seg_count_duration(watch.seg, DURATION_gc_0 + generation, ns);
	stat_add(watch.seg, STAT_gc_collected_0 + generation,
	    get_number(info, KEY_gc_collected));
}

static PyObject *
on_run(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
	uint64_t now;

	(void)module;
	if (watch.seg == NULL || nargs != 2 || !PyUnicode_Check(args[0]))
		Py_RETURN_NONE;
	now = executor_clock_ns();
	if (PyUnicode_CompareWithASCIIString(args[0], "start") == 0) {
		watch.began_ns = now;
	} else if (watch.began_ns != 0) {
		count(args[1], now - watch.began_ns);
		watch.began_ns = 0;
	}
	Py_RETURN_NONE;
}

/* Its runs are not the worker's. */
static PyObject *
on_fork(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	gc_count_in(NULL);
	Py_RETURN_NONE;
}

static PyMethodDef run_def = {
    "collected", (PyCFunction)(void (*)(void))on_run, METH_FASTCALL, NULL};
static PyMethodDef fork_def = {"after_fork", on_fork, METH_NOARGS, NULL};

int
gc_watch(struct state *st, PyObject *module)
{
	PyObject *ran = PyCFunction_New(&run_def, module);
	PyObject *forked = PyCFunction_New(&fork_def, module), *done = NULL;

	if (ran != NULL && forked != NULL)
		done = state_call_boot(st, "watch_collector", "(OO)", ran, forked);
	Py_XDECREF(ran);
	Py_XDECREF(forked);
	Py_XDECREF(done);
	return done == NULL ? -1 : 0;
}

void
gc_count_in(struct seg *s)
{
	watch.seg = s;
	watch.began_ns = 0;
}
