/* Loading the application: the grammar of APP lives in boot.py. SPDX-License-Identifier:
 * MIT */
#include "worker/py/load.h"

#include "common/conf_compat.h"
#include "worker/py/environ.h"
#include "worker/py/files.h"
#include "worker/py/gunicorn.h"

#include <stdarg.h>

static const char boot_source[] = {
#include "boot_py.inc"
    , 0};
static const char mold_source[] = {
#include "mold_py.inc"
    , 0};
static const char files_source[] = {
#include "files_py.inc"
    , 0};

static const char gunicorn_source[] = {
#include "gunicorn_py.inc"
    , 0};

/* All in one namespace, in this order. */
static const struct {
	const char *source, *name;
} scripts[] = {
    {boot_source, "<shoal boot.py>"},
    {mold_source, "<shoal mold.py>"},
    {files_source, "<shoal files.py>"},
    {gunicorn_source, "<shoal gunicorn.py>"},
};

static int
run_script(struct state *st, const char *source, const char *name)
{
	PyObject *code = Py_CompileString(source, name, Py_file_input), *result;

	if (code == NULL)
		return -1;
	result = PyEval_EvalCode(code, st->boot, st->boot);
	Py_DECREF(code);
	Py_XDECREF(result);
	return result == NULL ? -1 : 0;
}

int
load_boot(struct state *st)
{
	int rc;

	st->boot = PyDict_New();
	rc = st->boot == NULL
		 ? -1
		 : PyDict_SetItemString(st->boot, "__builtins__", PyEval_GetBuiltins());
	for (size_t i = 0; i < ARRAY_LEN(scripts) && rc == 0; i++)
		rc = run_script(st, scripts[i].source, scripts[i].name);
	return rc;
}

PyObject *
state_call_boot(struct state *st, const char *name, const char *format, ...)
{
	PyObject *function = PyDict_GetItemString(st->boot, name), *args, *result;
	va_list ap;

	if (function == NULL)
		return PyErr_Format(PyExc_SystemError, "boot.py has no %s", name);
	va_start(ap, format);
	args = Py_VaBuildValue(format, ap);
	va_end(ap);
	if (args == NULL)
		return NULL;
	result = PyObject_CallObject(function, args);
	Py_DECREF(args);
	return result;
}

PyObject *
load_list(const struct strlist *list)
{
	PyObject *l = PyList_New((Py_ssize_t)list->n);

	for (size_t i = 0; l != NULL && i < list->n; i++) {
		PyObject *s = PyUnicode_DecodeFSDefault(list->v[i]);

		if (s == NULL)
			Py_CLEAR(l);
		else
			PyList_SET_ITEM(l, (Py_ssize_t)i, s);
	}
	return l;
}

PyObject *
load_text(const char *s)
{
	if (s == NULL)
		Py_RETURN_NONE;
	return PyUnicode_DecodeFSDefault(s);
}

int
load_app(struct state *st)
{
	const struct conf *c = st->conf;

	if (gunicorn_configure(st) < 0)
		return -1;
	st->app = state_call_boot(st, "load", "(NNNNONNndN)", load_text(c->app),
	    load_text(c->chdir), load_text(c->pythonpath), load_list(&c->env),
	    c->factory ? Py_True : Py_False, load_list(&c->middleware),
	    load_text(conf_compat_green(c)), (Py_ssize_t)c->threads,
	    (double)c->switch_interval / 1000, gunicorn_number(st));
	if (st->app == NULL)
		return -1;
	st->context = PyContext_CopyCurrent();
	if (st->context == NULL)
		return -1;
	return environ_prepare(st);
}

/* What has to be watched so that mending it is noticed. */
static void
tell_failed_files(struct state *st, PyObject *error, PyObject *tb)
{
	PyObject *done;

	if (tb != NULL && PyException_SetTraceback(error, tb) < 0)
		PyErr_Clear();
	done = state_call_boot(st, "learn_failure", "(O)", error);
	if (done == NULL)
		PyErr_Clear();
	Py_XDECREF(done);
	files_tell(st);
}

PyObject *
load_describe_failure(struct state *st)
{
	PyObject *type, *value, *tb, *text;

	PyErr_Fetch(&type, &value, &tb);
	PyErr_NormalizeException(&type, &value, &tb);
	if (st->conf->reload && value != NULL)
		tell_failed_files(st, value, tb);
	text = st->boot == NULL
		   ? NULL
		   : state_call_boot(st, "describe_failure", "(OOO)",
			 type != NULL ? type : Py_None, value != NULL ? value : Py_None,
			 tb != NULL ? tb : Py_None);
	PyErr_Clear();
	if (text == NULL && value != NULL)
		text = PyObject_Str(value);
	PyErr_Clear();
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(tb);
	return text;
}
