/* start_response: checks what the application says and keeps the head until the body
 * begins; an error here is an exception in the application. SPDX-License-Identifier: MIT */
#include "worker/py/start_response.h"

#include "worker/py/bill.h"
#include "worker/py/face.h"
#include "worker/py/response.h"

#include <structmember.h>

/* The bytes of a str whose characters all fit latin-1; `what` for the message. */
static int
text_bytes(PyObject *o, const char *what, struct str *out)
{
	if (UNLIKELY(!PyUnicode_Check(o))) {
		PyErr_Format(PyExc_TypeError, "%s must be str, not %.100s", what,
		    Py_TYPE(o)->tp_name);
		return -1;
	}
#if PY_VERSION_HEX < 0x030c0000
	if (PyUnicode_READY(o) < 0)
		return -1;
#endif
	if (UNLIKELY(PyUnicode_KIND(o) != PyUnicode_1BYTE_KIND)) {
		PyErr_Format(
		    PyExc_ValueError, "%s has characters outside latin-1: %R", what, o);
		return -1;
	}
	*out = (struct str){
	    (const char *)PyUnicode_1BYTE_DATA(o), (size_t)PyUnicode_GET_LENGTH(o)};
	return 0;
}

static int
refuse(enum resp_error why, PyObject *what)
{
	PyErr_Format(
	    PyExc_ValueError, "start_response: %s: %R", resp_error_text(why), what);
	return -1;
}

/* (name, value) */
static int
pair_bytes(PyObject *pair, struct str *name, struct str *value)
{
	if (UNLIKELY(!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2)) {
		PyErr_Format(PyExc_TypeError,
		    "response headers must be (name, value) tuples, not %R", pair);
		return -1;
	}
	if (text_bytes(PyTuple_GET_ITEM(pair, 0), "a response header name", name) < 0)
		return -1;
	return text_bytes(PyTuple_GET_ITEM(pair, 1), "a response header value", value);
}

static int
add_fields(struct call *c, PyObject *headers)
{
	/* A list by PEP 3333; a tuple does no harm. */
	if (UNLIKELY(!PyList_Check(headers) && !PyTuple_Check(headers))) {
		PyErr_Format(PyExc_TypeError, "response headers must be a list, not %.100s",
		    Py_TYPE(headers)->tp_name);
		return -1;
	}
	for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(headers); i++) {
		PyObject *pair = PySequence_Fast_GET_ITEM(headers, i);
		enum resp_error why;
		struct str name, value;

		if (pair_bytes(pair, &name, &value) < 0)
			return -1;
		if (UNLIKELY(bill_is_field(name))) {
			bill_field(c, value);
			continue;
		}
		why = resp_field(&c->resp, name, value);
		if (UNLIKELY(why != RESP_OK))
			return refuse(why, pair);
	}
	return 0;
}

static int
set_head(struct call *c, PyObject *status, PyObject *headers)
{
	enum resp_error why;
	struct str text;

	c->begun = false;
	if (text_bytes(status, "the response status", &text) < 0)
		return -1;
	response_reset_head(c);
	bill_reset(c);
	why = resp_begin(&c->resp, text);
	if (UNLIKELY(why != RESP_OK))
		return refuse(why, status);
	if (add_fields(c, headers) < 0)
		return -1;
	c->begun = true;
	return 0;
}

/* Raises what exc_info holds: the error came too late to change the answer. */
static void
reraise(PyObject *exc_info)
{
	PyObject *type, *value, *tb;

	if (!PyTuple_Check(exc_info) || PyTuple_GET_SIZE(exc_info) != 3) {
		PyErr_SetString(
		    PyExc_TypeError, "exc_info must be a tuple as of sys.exc_info()");
		return;
	}
	type = PyTuple_GET_ITEM(exc_info, 0);
	value = PyTuple_GET_ITEM(exc_info, 1);
	tb = PyTuple_GET_ITEM(exc_info, 2);
	Py_INCREF(type);
	Py_INCREF(value);
	Py_INCREF(tb);
	PyErr_Restore(type, value, tb == Py_None ? (Py_DECREF(tb), NULL) : tb);
}

static PyObject *
get_write(struct call *c)
{
	PyObject *w = c->faces[FACE_WRITE];

	if (w == NULL)
		w = c->faces[FACE_WRITE] = (PyObject *)face_new(c, FACE_WRITE);
	Py_XINCREF(w);
	return w;
}

static int
only_exc_info(PyObject *kwnames)
{
	PyObject *name;

	if (kwnames == NULL || PyTuple_GET_SIZE(kwnames) == 0)
		return 0;
	name = PyTuple_GET_ITEM(kwnames, 0);
	if (PyTuple_GET_SIZE(kwnames) == 1 &&
	    PyUnicode_CompareWithASCIIString(name, "exc_info") == 0)
		return 1;
	PyErr_Format(
	    PyExc_TypeError, "start_response: unexpected keyword argument %R", name);
	return -1;
}

static PyObject *
start_response_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
	Py_ssize_t n = PyVectorcall_NARGS(nargsf);
	int named = only_exc_info(kwnames);
	PyObject *exc_info = NULL;
	struct call *c = face_call(self);

	if (UNLIKELY(c == NULL || named < 0))
		return NULL;
	if (UNLIKELY(n + named < 2 || n + named > 3 || n < 2)) {
		PyErr_Format(PyExc_TypeError,
		    "start_response takes a status, headers and perhaps exc_info (%zd "
		    "given)",
		    n + named);
		return NULL;
	}
	if (n + named == 3 && args[2] != Py_None)
		exc_info = args[2];
	if (UNLIKELY(exc_info != NULL && c->head_out)) {
		reraise(exc_info);
		return NULL;
	}
	if (UNLIKELY(exc_info == NULL && c->begun)) {
		PyErr_SetString(PyExc_AssertionError,
		    "start_response was called a second time without exc_info");
		return NULL;
	}
	if (set_head(c, args[0], args[1]) < 0)
		return NULL;
	return get_write(c);
}

static PyObject *
write_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
	struct call *c = face_call(self);

	if (c == NULL)
		return NULL;
	if (PyVectorcall_NARGS(nargsf) != 1 ||
	    (kwnames != NULL && PyTuple_GET_SIZE(kwnames) > 0))
		return PyErr_Format(
		    PyExc_TypeError, "write takes one argument, the bytes to send");
	if (response_write(c, (struct face *)self, args[0]) < 0)
		return NULL;
	Py_RETURN_NONE;
}

/* shoal.early_hints(headers): a 103 before the answer (RFC 8297); nothing for a client that
 * does not speak 1.1. */
static PyObject *
early_hints_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
	struct call *c = face_call(self);

	if (c == NULL)
		return NULL;
	if (PyVectorcall_NARGS(nargsf) != 1 ||
	    (kwnames != NULL && PyTuple_GET_SIZE(kwnames) > 0))
		return PyErr_Format(
		    PyExc_TypeError, "early_hints takes one argument, the headers");
	if (response_interim(c, 103, args[0]) < 0)
		return NULL;
	Py_RETURN_NONE;
}

int
start_response_add_interim_fields(struct resp *resp, PyObject *headers)
{
	PyObject *fast = PySequence_Fast(headers, "headers must be a list of pairs");
	int rc = fast == NULL ? -1 : 0;

	for (Py_ssize_t i = 0; rc == 0 && i < PySequence_Fast_GET_SIZE(fast); i++) {
		PyObject *pair = PySequence_Fast_GET_ITEM(fast, i);
		enum resp_error why;
		struct str name, value;

		rc = pair_bytes(pair, &name, &value);
		if (rc == 0 && !bill_is_field(name) &&
		    (why = resp_field(resp, name, value)) != RESP_OK)
			rc = refuse(why, pair);
	}
	Py_XDECREF(fast);
	return rc;
}

static void
start_response_dealloc(PyObject *self)
{
	face_free(self, FACE_START_RESPONSE);
}

static void
write_dealloc(PyObject *self)
{
	face_free(self, FACE_WRITE);
}

static void
early_hints_dealloc(PyObject *self)
{
	face_free(self, FACE_EARLY_HINTS);
}

static PyMemberDef callable_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct face, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

#define CALLABLE_SLOTS(name, doc)                                                          \
	static PyType_Slot name##_slots[] = {                                              \
	    {Py_tp_doc, (void *)(doc)},                                                    \
	    {Py_tp_dealloc, (void *)name##_dealloc},                                       \
	    {Py_tp_call, (void *)PyVectorcall_Call},                                       \
	    {Py_tp_members, callable_members},                                             \
	    {0, NULL},                                                                     \
	}

CALLABLE_SLOTS(start_response, "start_response(status, headers, exc_info=None) -> write");
CALLABLE_SLOTS(write, "write(data): sends bytes before the iterable's.");
CALLABLE_SLOTS(early_hints, "early_hints(headers): sends a 103 response.");

#define CALLABLE_FLAGS (FACE_TYPE_FLAGS | Py_TPFLAGS_HAVE_VECTORCALL)

static PyType_Spec specs[] = {
    {"_shoal.StartResponse", sizeof(struct face), 0, CALLABLE_FLAGS, start_response_slots},
    {"_shoal.Write", sizeof(struct face), 0, CALLABLE_FLAGS, write_slots},
    {"_shoal.EarlyHints", sizeof(struct face), 0, CALLABLE_FLAGS, early_hints_slots},
};

int
start_response_add_types(struct state *st, PyObject *module)
{
	if (face_add_type(st, module, &specs[0], FACE_START_RESPONSE) < 0 ||
	    face_add_type(st, module, &specs[1], FACE_WRITE) < 0 ||
	    face_add_type(st, module, &specs[2], FACE_EARLY_HINTS) < 0)
		return -1;
	st->vectorcalls[FACE_START_RESPONSE] = start_response_call;
	st->vectorcalls[FACE_WRITE] = write_call;
	st->vectorcalls[FACE_EARLY_HINTS] = early_hints_call;
	return 0;
}

PyObject *
start_response_object(struct call *c)
{
	c->faces[FACE_START_RESPONSE] = (PyObject *)face_new(c, FACE_START_RESPONSE);
	return c->faces[FACE_START_RESPONSE];
}
