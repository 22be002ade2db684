/* The plugin: the module `_shoal`, and the two ways in (embedded, or imported by a python
 * executable). SPDX-License-Identifier: MIT */
#include "worker/py/plugin.h"

#include "worker/py/deadline.h"
#include "worker/py/environ.h"
#include "worker/py/errors.h"
#include "worker/py/executor.h"
#include "worker/py/face.h"
#include "worker/py/files.h"
#include "worker/py/filewrapper.h"
#include "worker/py/gc.h"
#include "worker/py/gunicorn.h"
#include "worker/py/input.h"
#include "worker/py/interp.h"
#include "worker/py/load.h"
#include "worker/py/metrics.h"
#include "worker/py/mold.h"
#include "worker/py/sock.h"
#include "worker/py/start_response.h"
#include "worker/py/trace.h"
#include "worker/py/transfer.h"
#include "worker/py/watchdog.h"

#include "worker/launch.h"

#include <stdio.h>

static struct state *the_state; /* borrowed from the module, which is never unloaded */
static struct worker the_worker;

struct state *
state_get(void)
{
	return the_state;
}

static _Noreturn void
fail_with_text(struct worker *w, PyObject *text)
{
	Py_ssize_t n = 0;
	const char *p = text != NULL ? PyUnicode_AsUTF8AndSize(text, &n) : NULL;

	if (p == NULL)
		worker_fail(
		    w, STR("the application could not be loaded, and the reason could "
			   "not be formatted"));
	worker_fail(w, (struct str){p, (size_t)n});
}

/* Of a load: the hook of a worker's end is called for it, too. */
static _Noreturn void
fail_to_load(struct state *st)
{
	PyObject *text = load_describe_failure(st);

	gunicorn_end(st);
	fail_with_text(st->worker, text);
}

static _Noreturn void
fail_with_err(struct worker *w, const struct err *e)
{
	worker_fail(w, str_of(e->text));
}

/* What is counted with the GIL; until shortly before the segment is closed. */
static void
count_in(struct seg *s)
{
	metrics_attach(&s->metrics);
	gc_count_in(s);
}

/* Loads the application; a mold goes on from here as each of its workers. */
static int
load(struct state *st)
{
	const bool mold = st->worker->heritage.role == ROLE_MOLD;

	if (trace_crashes(st) < 0 || load_app(st) < 0)
		return -1;
	if (st->conf->reload)
		files_tell(st);
	/* What was prepared is the mold's: the worker's numbers are in it. */
	if (mold && (mold_run(st) < 0 || environ_prepare(st) < 0))
		return -1;
	if (mold)
		count_in(st->worker->seg);
	return gunicorn_start(st, mold);
}

/* From load to _exit, with the GIL. */
static _Noreturn void
run_worker(struct state *st, struct worker *w)
{
	struct err e = {0};
	PyObject *ended;

	st->worker = w;
	st->conf = &w->heritage.conf;
	if (w->seg != NULL)
		count_in(w->seg);
	st->eventlet =
	    st->conf->compat != NULL && strcmp(st->conf->compat, "eventlet") == 0;
	if (load(st) < 0 || (st->conf->reload && files_start(st) < 0))
		fail_to_load(st);
	st->id_prefix_len = (unsigned)snprintf(st->id_prefix, sizeof(st->id_prefix),
	    "%x-%x-", (unsigned)getpid(), w->heritage.epoch);
	if (executor_run(st, &e) < 0)
		fail_with_err(w, &e);
	gunicorn_end(st); /* while there are logs and a configuration */
	metrics_detach();
	gc_count_in(NULL);
	worker_finish(w);
	ended = state_call_boot(st, "end", "()");
	if (ended == NULL)
		errors_log_pending("the interpreter's end failed", NULL);
	fflush(NULL);
	_exit(0);
}

/* ---- The module ---- */

static PyObject *
on_set_idle(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
	(void)module;
	(void)args;
	(void)nargs;
	Py_RETURN_NONE;
}

/* Exec launch: python -c BOOT calls it. Does not return. */
static PyObject *
on_run(PyObject *module, PyObject *unused)
{
	struct state *st = PyModule_GetState(module);
	struct err e = {0};

	(void)unused;
	if (worker_open(&the_worker, &e) < 0 || interp_check_version(&e) < 0)
		fail_with_err(&the_worker, &e);
	launch_own_signals();
	run_worker(st, &the_worker);
}

static PyMethodDef module_methods[] = {
    {"run", on_run, METH_NOARGS, "Be a worker of the master that left its heritage here."},
    {"pool_thread", executor_pool_thread, METH_O, "Be application thread number N."},
    {"send_files", files_send, METH_O, "Tell the master of files, one per line."},
    {"set_idle", (PyCFunction)(void (*)(void))on_set_idle, METH_FASTCALL,
	"eventlet.set_idle: accepted, nothing to do."},
    {NULL, NULL, 0, NULL},
};

static const char *const key_texts[KEY_COUNT] = {
#define KEY(member, text) [KEY_##member] = (text),
#include "worker/py/keys.def"
#undef KEY
};

static int
make_keys(struct state *st)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		st->keys[i] = PyUnicode_InternFromString(key_texts[i]);
		if (st->keys[i] == NULL)
			return -1;
	}
	return 0;
}

static int
make_types(struct state *st, PyObject *module)
{
	if (start_response_add_types(st, module) < 0 || input_add_type(st, module) < 0 ||
	    transfer_add_type(st, module) < 0 || sock_add_type(st, module) < 0 ||
	    errors_add_type(st, module) < 0 || filewrapper_add_type(st, module) < 0 ||
	    deadline_add_type(st, module) < 0 || watchdog_add_exception(st, module) < 0)
		return -1;
	st->chunk_error = PyErr_NewException("_shoal.ChunkError", PyExc_ValueError, NULL);
	if (st->chunk_error == NULL)
		return -1;
	return PyObject_SetAttrString(module, "ChunkError", st->chunk_error);
}

static int
on_module_exec(PyObject *module)
{
	struct state *st = PyModule_GetState(module);

	if (the_state != NULL) {
		PyErr_SetString(PyExc_ImportError, "a process holds one worker");
		return -1;
	}
	if (make_keys(st) < 0 || make_types(st, module) < 0)
		return -1;
	st->set_idle = PyObject_GetAttrString(module, "set_idle");
	st->pool_thread = PyObject_GetAttrString(module, "pool_thread");
	st->send_files = PyObject_GetAttrString(module, "send_files");
	if (st->set_idle == NULL || st->pool_thread == NULL || st->send_files == NULL ||
	    load_boot(st) < 0 || metrics_add_module(st, module) < 0 ||
	    gc_watch(st, module) < 0)
		return -1;
	the_state = st;
	return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)on_module_exec},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_shoal",
    .m_doc = "The worker inside Python.",
    .m_size = sizeof(struct state),
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__shoal(void);

PyMODINIT_FUNC
PyInit__shoal(void)
{
	return PyModuleDef_Init(&module_def);
}

/* ---- Embedded ---- */

/* The attribute and not _Noreturn: clang compares it with struct plugin's. */
__attribute__((noreturn)) static void
run_embedded(struct worker *w)
{
	struct err e = {0};
	PyObject *module;

	if (interp_check_version(&e) < 0)
		fail_with_err(w, &e);
	if (PyImport_AppendInittab("_shoal", PyInit__shoal) < 0) {
		err_set(&e, "the module _shoal could not be announced to Python");
		fail_with_err(w, &e);
	}
	if (interp_start(&w->heritage, &e) < 0)
		fail_with_err(w, &e);
	module = PyImport_ImportModule("_shoal");
	if (module == NULL) {
		errors_to_err(&e, "the module _shoal could not be made");
		fail_with_err(w, &e);
	}
	run_worker(PyModule_GetState(module), w);
}

extern const struct plugin shoal_plugin;

const struct plugin shoal_plugin = {
    .abi = PLUGIN_ABI,
    .python_major = PY_MAJOR_VERSION,
    .python_minor = PY_MINOR_VERSION,
    .run_embedded = run_embedded,
};
