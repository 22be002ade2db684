/* The connection as Python sees it: attributes come from a socket.socket over a duplicate
 * of the descriptor. SPDX-License-Identifier: MIT */
#include "worker/py/sock.h"

#include "worker/py/face.h"

struct sock {
	struct face face;
	PyObject *real; /* owned; NULL until used */
};

PyObject *
sock_make(struct call *c)
{
	int fd = req_dup_socket(c->req);
	PyObject *s;

	if (fd < 0) {
		PyErr_SetString(PyExc_OSError, "the connection is closed");
		return NULL;
	}
	s = state_call_boot(c->thread->st, "make_socket", "(i)", fd);
	if (s == NULL)
		close(fd);
	return s;
}

static PyObject *
sock_getattro(PyObject *self, PyObject *name)
{
	struct sock *s = (struct sock *)self;
	struct call *c;

	if (s->real == NULL) {
		c = face_call(self);
		s->real = c != NULL ? sock_make(c) : NULL;
	}
	return s->real != NULL ? PyObject_GetAttr(s->real, name) : NULL;
}

void
sock_reset(PyObject *self)
{
	Py_CLEAR(((struct sock *)self)->real);
}

void
sock_end(PyObject *self)
{
	struct sock *s = (struct sock *)self;
	PyObject *done;

	if (s->real == NULL)
		return;
	done = PyObject_CallMethod(s->real, "close", NULL);
	if (done == NULL)
		PyErr_Clear();
	Py_XDECREF(done);
	Py_CLEAR(s->real);
}

static void
sock_dealloc(PyObject *self)
{
	sock_reset(self);
	face_free(self, FACE_SOCKET);
}

static PyType_Slot sock_slots[] = {
    {Py_tp_doc, (void *)"The client's connection; behaves as a socket.socket."},
    {Py_tp_dealloc, (void *)sock_dealloc},
    {Py_tp_getattro, (void *)sock_getattro},
    {0, NULL},
};

static PyType_Spec sock_spec = {
    .name = "_shoal.Socket",
    .basicsize = sizeof(struct sock),
    .flags = FACE_TYPE_FLAGS,
    .slots = sock_slots,
};

int
sock_add_type(struct state *st, PyObject *module)
{
	return face_add_type(st, module, &sock_spec, FACE_SOCKET);
}
