/* env['shoal.deadline'](seconds): when this request must be over. SPDX-License-Identifier:
 * MIT
 */
#include "worker/py/deadline.h"

#include "worker/py/face.h"

#include <math.h>
#include <structmember.h>

#define SECONDS_MAX 1e9

/* The moment `seconds` from now; 0: exception. */
static uint64_t
moment(PyObject *seconds)
{
	double s;

	if (seconds == Py_None)
		return REQ_NEVER;
	if (!PyFloat_Check(seconds) && !PyLong_Check(seconds) &&
	    !PyObject_HasAttrString(seconds, "__float__")) {
		PyErr_Format(PyExc_TypeError,
		    "deadline takes a number of seconds or None, not %.100s",
		    Py_TYPE(seconds)->tp_name);
		return 0;
	}
	s = PyFloat_AsDouble(seconds);
	if (s == -1 && PyErr_Occurred())
		return 0;
	if (isnan(s) || s < 0) {
		PyErr_Format(
		    PyExc_ValueError, "deadline takes 0 seconds or more, not %R", seconds);
		return 0;
	}
	if (s == 0 || s > SECONDS_MAX)
		return REQ_NEVER;
	return executor_clock_ns() + (uint64_t)(s * 1e9);
}

static PyObject *
deadline_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
	struct call *c = face_call(self);
	uint64_t at;

	if (c == NULL)
		return NULL;
	if (PyVectorcall_NARGS(nargsf) != 1 ||
	    (kwnames != NULL && PyTuple_GET_SIZE(kwnames) > 0))
		return PyErr_Format(
		    PyExc_TypeError, "deadline takes one argument, the seconds from now");
	at = moment(args[0]);
	if (at == 0)
		return NULL;
	/* __float__ may have run anything. */
	c = face_call(self);
	if (c == NULL)
		return NULL;
	req_set_deadline(c->req, at);
	Py_RETURN_NONE;
}

static void
deadline_dealloc(PyObject *self)
{
	face_free(self, FACE_DEADLINE);
}

static PyMemberDef deadline_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct face, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot deadline_slots[] = {
    {Py_tp_doc,
	(void *)"deadline(seconds): the request must be over by then; None: never."},
    {Py_tp_dealloc, (void *)deadline_dealloc},
    {Py_tp_call, (void *)PyVectorcall_Call},
    {Py_tp_members, deadline_members},
    {0, NULL},
};

static PyType_Spec deadline_spec = {
    .name = "_shoal.Deadline",
    .basicsize = sizeof(struct face),
    .flags = FACE_TYPE_FLAGS | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = deadline_slots,
};

int
deadline_add_type(struct state *st, PyObject *module)
{
	st->vectorcalls[FACE_DEADLINE] = deadline_call;
	return face_add_type(st, module, &deadline_spec, FACE_DEADLINE);
}
