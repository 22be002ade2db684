/* The application's exceptions in the log, and wsgi.errors. SPDX-License-Identifier: MIT */
#include "worker/py/errors.h"

#include "common/log.h"
#include "worker/py/executor.h"
#include "worker/py/face.h"

#include <stdio.h>

#define ERRORS_LINE_MAX (64 * 1024)

struct app_counts app_counts;

PyObject *
errors_format_pending(void)
{
	PyObject *type, *value, *tb, *text;

	PyErr_Fetch(&type, &value, &tb);
	if (type == NULL)
		return NULL;
	PyErr_NormalizeException(&type, &value, &tb);
	text = state_call_boot(state_get(), "format_exception", "(OOO)", type,
	    value != NULL ? value : Py_None, tb != NULL ? tb : Py_None);
	if (text == NULL) {
		PyErr_Clear(); /* the exception's own __str__ or the memory failed */
		text = PyUnicode_FromFormat("%s (its traceback could not be formatted)",
		    ((PyTypeObject *)type)->tp_name);
		PyErr_Clear();
	}
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(tb);
	return text;
}

/* "GET /path" of r and a line break; returns its length. */
static size_t
request_line(char *buf, size_t cap, const struct req *r)
{
	struct str method, target;
	int n;

	if (r == NULL)
		return 0;
	method = span_str(r->base, r->head.method);
	target = span_str(r->base, r->head.target);
	n = snprintf(buf, cap, "%.*s %.*s\n", (int)MIN(method.n, 32), method.p,
	    (int)MIN(target.n, cap / 2), target.p);
	return n < 0 ? 0 : MIN((size_t)n, cap - 1);
}

static void
log_with_request(const char *event, const struct req *r, const char *text, size_t n)
{
	char stack[1024];
	size_t head = request_line(stack, sizeof(stack), r);
	char *all = malloc(head + n);

	if (all == NULL) {
		log_error("app", event, NULL);
		return;
	}
	memcpy(all, stack, head);
	memcpy(all + head, text, n);
	log_text(LOG_LVL_ERROR, "app", event, (struct str){all, head + n});
	free(all);
}

PyObject *
errors_log_and_keep(const char *event, const struct req *r)
{
	PyObject *text = errors_format_pending();
	Py_ssize_t n = 0;
	const char *p = text != NULL ? PyUnicode_AsUTF8AndSize(text, &n) : NULL;

	if (p == NULL) {
		PyErr_Clear();
		p = "";
	}
	log_with_request(event, r, p, (size_t)n);
	return text;
}

void
errors_log_pending(const char *event, const struct req *r)
{
	Py_XDECREF(errors_log_and_keep(event, r));
}

void
errors_log_mistake(const char *event, const struct req *r, const char *detail)
{
	log_with_request(event, r, detail, strlen(detail));
}

int
errors_to_err(struct err *e, const char *what)
{
	PyObject *type, *value, *tb, *text;
	const char *p = NULL;

	PyErr_Fetch(&type, &value, &tb);
	text = value != NULL ? PyObject_Str(value) : NULL;
	if (text != NULL)
		p = PyUnicode_AsUTF8(text);
	err_set(e, "%s: %s", what, p != NULL ? p : "unknown error");
	PyErr_Clear();
	Py_XDECREF(text);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(tb);
	return -1;
}

/* ---- wsgi.errors ---- */

static void
emit_lines(const char *p, size_t n)
{
	log_text(LOG_LVL_ERROR, "app", "wsgi.errors", (struct str){p, n});
}

/* Whole lines go to the log; the rest waits for its end, per application thread, so that
 * print() and the logging module make one entry of one message. */
static void
write_lines(const char *p, size_t n)
{
	struct app_thread *t = app_thread_current();
	const char *end = memrchr(p, '\n', n);
	size_t whole = end != NULL ? (size_t)(end - p) : 0;
	char *grown;

	if (t == NULL) {
		emit_lines(p, n);
		return;
	}
	if (t->n_errors + n > ERRORS_LINE_MAX || (end != NULL && t->n_errors > 0)) {
		size_t part = end != NULL ? whole : 0;

		grown = realloc(t->errors, t->n_errors + part + 1);
		if (grown != NULL) {
			t->errors = grown;
			memcpy(grown + t->n_errors, p, part);
			emit_lines(grown, t->n_errors + part);
		}
		t->n_errors = 0;
	} else if (end != NULL) {
		emit_lines(p, whole);
	}
	if (end != NULL) {
		p += whole + 1;
		n -= whole + 1;
	}
	n = MIN(n, (size_t)ERRORS_LINE_MAX);
	if (n == 0)
		return;
	grown = realloc(t->errors, t->n_errors + n);
	if (grown == NULL)
		return;
	t->errors = grown;
	memcpy(grown + t->n_errors, p, n);
	t->n_errors += n;
}

static PyObject *
errors_write(PyObject *self, PyObject *text)
{
	Py_ssize_t n;
	PyObject *bytes;

	(void)self;
	if (!PyUnicode_Check(text))
		return PyErr_Format(PyExc_TypeError, "wsgi.errors takes str, not %.100s",
		    Py_TYPE(text)->tp_name);
	bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	if (bytes == NULL)
		return NULL;
	n = PyBytes_GET_SIZE(bytes);
	write_lines(PyBytes_AS_STRING(bytes), (size_t)n);
	Py_DECREF(bytes);
	return PyLong_FromSsize_t(PyUnicode_GET_LENGTH(text));
}

static PyObject *
errors_writelines(PyObject *self, PyObject *lines)
{
	PyObject *it = PyObject_GetIter(lines), *line;

	if (it == NULL)
		return NULL;
	while ((line = PyIter_Next(it)) != NULL) {
		PyObject *done = errors_write(self, line);

		Py_DECREF(line);
		if (done == NULL)
			break;
		Py_DECREF(done);
	}
	Py_DECREF(it);
	if (PyErr_Occurred())
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
errors_flush(PyObject *self, PyObject *unused)
{
	struct app_thread *t = app_thread_current();

	(void)self;
	(void)unused;
	if (t != NULL && t->n_errors > 0) {
		emit_lines(t->errors, t->n_errors);
		t->n_errors = 0;
	}
	Py_RETURN_NONE;
}

static void
errors_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	PyObject_Free(self);
	Py_DECREF(type);
}

static PyMethodDef errors_methods[] = {
    {"write", errors_write, METH_O, "Write text to the error log."},
    {"writelines", errors_writelines, METH_O, "Write each of some strings."},
    {"flush", errors_flush, METH_NOARGS, "Log an unfinished line now."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot errors_slots[] = {
    {Py_tp_doc, (void *)"wsgi.errors: the server's error log."},
    {Py_tp_dealloc, (void *)errors_dealloc},
    {Py_tp_methods, errors_methods},
    {0, NULL},
};

static PyType_Spec errors_spec = {
    .name = "_shoal.ErrorLog",
    .basicsize = sizeof(PyObject),
    .flags = FACE_TYPE_FLAGS,
    .slots = errors_slots,
};

int
errors_add_type(struct state *st, PyObject *module)
{
	st->errors_type = face_make_type(module, &errors_spec);
	return st->errors_type == NULL ? -1 : 0;
}

PyObject *
errors_object(struct state *st)
{
	return (PyObject *)PyObject_New(PyObject, st->errors_type);
}
