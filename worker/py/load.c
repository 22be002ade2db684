/* Loading the application: the grammar of APP lives in boot.py. SPDX-License-Identifier:
 * MIT */
#include "worker/py/load.h"

#include "common/conf_compat.h"
#include "worker/py/environ.h"

#include <stdarg.h>

static const char boot_source[] = {
#include "boot_py.inc"
    , 0};

int
load_boot(struct state *st)
{
	PyObject *code, *result;

	st->boot = PyDict_New();
	if (st->boot == NULL ||
	    PyDict_SetItemString(st->boot, "__builtins__", PyEval_GetBuiltins()) < 0)
		return -1;
	code = Py_CompileString(boot_source, "<shoal boot.py>", Py_file_input);
	if (code == NULL)
		return -1;
	result = PyEval_EvalCode(code, st->boot, st->boot);
	Py_DECREF(code);
	Py_XDECREF(result);
	return result == NULL ? -1 : 0;
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

static PyObject *
list_of(const struct strlist *list)
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

static PyObject *
text_or_none(const char *s)
{
	if (s == NULL)
		Py_RETURN_NONE;
	return PyUnicode_DecodeFSDefault(s);
}

int
load_app(struct state *st)
{
	const struct conf *c = st->conf;

	st->app = state_call_boot(st, "load", "(NNNNONNnd)", text_or_none(c->app),
	    text_or_none(c->chdir), text_or_none(c->pythonpath), list_of(&c->env),
	    c->factory ? Py_True : Py_False, list_of(&c->middleware),
	    text_or_none(conf_compat_green(c)), (Py_ssize_t)c->threads,
	    (double)c->switch_interval / 1000);
	if (st->app == NULL)
		return -1;
	st->context = PyContext_CopyCurrent();
	if (st->context == NULL)
		return -1;
	return environ_prepare(st);
}

PyObject *
load_describe_failure(struct state *st)
{
	PyObject *type, *value, *tb, *text;

	PyErr_Fetch(&type, &value, &tb);
	PyErr_NormalizeException(&type, &value, &tb);
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
