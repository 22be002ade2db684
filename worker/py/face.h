/* Small objects in the environ that look at a request while it lasts, with their free
 * lists. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

#if PY_VERSION_HEX >= 0x030a0000
#define FACE_TYPE_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION)
#else
#define FACE_TYPE_FLAGS Py_TPFLAGS_DEFAULT
#endif

/* The common start of every such object. */
struct face {
	PyObject_HEAD vectorcallfunc vectorcall; /* of callable kinds */
	struct call *call; /* borrowed; NULL once the request is over */
};

/* New reference, call set; what follows struct face is as the last owner left it, zero the
 * first time. NULL with MemoryError. */
struct face *face_new(struct call *c, enum face_kind kind);
/* The last step of a kind's tp_dealloc. */
void face_free(PyObject *self, enum face_kind kind);
/* The call behind a face; NULL with ValueError when the request is over. */
struct call *face_call(PyObject *self);

/* Makes a type from its spec and keeps it in st. */
NODISCARD int face_add_type(
    struct state *st, PyObject *module, PyType_Spec *spec, enum face_kind kind);
/* The same for a type without instances of its own making: no constructor for Python. */
PyTypeObject *face_make_type(PyObject *module, PyType_Spec *spec);
