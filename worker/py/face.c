/* Free lists of the small objects in the environ. SPDX-License-Identifier: MIT */
#include "worker/py/face.h"

struct face *
face_new(struct call *c, enum face_kind kind)
{
	struct app_thread *t = c->thread;
	struct face *f;

	if (LIKELY(t->n_faces[kind] > 0)) {
		PyObject *dead = t->faces[kind][--t->n_faces[kind]];

		_Py_NewReference(dead); /* it kept its reference to the type */
		f = (struct face *)dead;
	} else {
		PyTypeObject *type = t->st->face_types[kind];

		f = PyObject_New(struct face, type);
		if (f == NULL)
			return NULL;
		memset((char *)f + sizeof(PyObject), 0,
		    (size_t)type->tp_basicsize - sizeof(PyObject));
		f->vectorcall = t->st->vectorcalls[kind];
	}
	f->call = c;
	return f;
}

void
face_free(PyObject *self, enum face_kind kind)
{
	struct app_thread *t = app_thread_current();
	PyTypeObject *type = Py_TYPE(self);

	if (LIKELY(t != NULL && t->n_faces[kind] < FACES_KEPT)) {
		t->faces[kind][t->n_faces[kind]++] = self;
		return;
	}
	PyObject_Free(self);
	Py_DECREF(type);
}

struct call *
face_call(PyObject *self)
{
	struct face *f = (struct face *)self;

	if (UNLIKELY(f->call == NULL))
		PyErr_SetString(PyExc_ValueError, "the request is over");
	return f->call;
}

PyTypeObject *
face_make_type(PyObject *module, PyType_Spec *spec)
{
	PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);

#if PY_VERSION_HEX < 0x030a0000
	if (type != NULL)
		type->tp_new = NULL; /* 3.10 has a flag for it */
#endif
	return type;
}

int
face_add_type(struct state *st, PyObject *module, PyType_Spec *spec, enum face_kind kind)
{
	st->face_types[kind] = face_make_type(module, spec);
	return st->face_types[kind] == NULL ? -1 : 0;
}
