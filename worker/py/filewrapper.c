/* wsgi.file_wrapper(filelike, blksize=8192). SPDX-License-Identifier: MIT */
#include "worker/py/filewrapper.h"

#include "worker/py/face.h"

#include <fcntl.h>
#include <structmember.h>
#include <sys/stat.h>

#define BLOCK_DEFAULT 8192
#define BLOCK_MAX (1024 * 1024)

struct filewrapper {
	PyObject_HEAD PyObject *filelike; /* owned */
	PyObject *read;                   /* owned: its bound method */
	Py_ssize_t block;
};

static PyObject *
filewrapper_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {(char *)"filelike", (char *)"blksize", NULL};
	struct filewrapper *self;
	PyObject *filelike, *read;
	Py_ssize_t block = BLOCK_DEFAULT;

	if (!PyArg_ParseTupleAndKeywords(
		args, kwargs, "O|n:FileWrapper", names, &filelike, &block))
		return NULL;
	read = PyObject_GetAttrString(filelike, "read");
	if (read == NULL)
		return NULL;
	self = (struct filewrapper *)type->tp_alloc(type, 0);
	if (self == NULL) {
		Py_DECREF(read);
		return NULL;
	}
	Py_INCREF(filelike);
	self->filelike = filelike;
	self->read = read;
	self->block = block <= 0 ? BLOCK_DEFAULT : MIN(block, BLOCK_MAX);
	return (PyObject *)self;
}

static int
filewrapper_traverse(PyObject *o, visitproc visit, void *arg)
{
	struct filewrapper *self = (struct filewrapper *)o;

	Py_VISIT(Py_TYPE(o));
	Py_VISIT(self->filelike);
	Py_VISIT(self->read);
	return 0;
}

static int
filewrapper_clear(PyObject *o)
{
	struct filewrapper *self = (struct filewrapper *)o;

	Py_CLEAR(self->filelike);
	Py_CLEAR(self->read);
	return 0;
}

static void
filewrapper_dealloc(PyObject *o)
{
	PyTypeObject *type = Py_TYPE(o);

	PyObject_GC_UnTrack(o);
	filewrapper_clear(o);
	type->tp_free(o);
	Py_DECREF(type);
}

static PyObject *
filewrapper_next(PyObject *o)
{
	struct filewrapper *self = (struct filewrapper *)o;
	PyObject *block;
	Py_ssize_t n;

	if (self->read == NULL)
		return NULL;
	block = PyObject_CallFunction(self->read, "n", self->block);
	if (block == NULL)
		return NULL;
	n = PyObject_Size(block);
	if (n > 0)
		return block;
	Py_DECREF(block);
	return NULL;
}

static PyObject *
filewrapper_close(PyObject *o, PyObject *unused)
{
	struct filewrapper *self = (struct filewrapper *)o;
	PyObject *close, *result;

	(void)unused;
	if (self->filelike == NULL)
		Py_RETURN_NONE;
	close = PyObject_GetAttrString(self->filelike, "close");
	if (close == NULL) {
		if (!PyErr_ExceptionMatches(PyExc_AttributeError))
			return NULL;
		PyErr_Clear();
		Py_RETURN_NONE;
	}
	result = PyObject_CallNoArgs(close);
	Py_DECREF(close);
	return result;
}

/* The descriptor and position of a real file; -1: it is none, or an exception. */
static int
real_file(struct state *st, PyObject *filelike, int64_t *off, uint64_t *size)
{
	PyObject *found = state_call_boot(st, "real_file", "(O)", filelike);
	long long pos;
	struct stat sb;
	int fd;

	if (found == NULL || found == Py_None) {
		Py_XDECREF(found);
		return -1;
	}
	if (!PyArg_ParseTuple(found, "iL", &fd, &pos))
		fd = -1;
	Py_DECREF(found);
	if (fd < 0 || fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode))
		return -1;
	*off = pos;
	*size = sb.st_size > pos ? (uint64_t)(sb.st_size - pos) : 0;
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

bool
filewrapper_send(struct call *c, enum response_step *step)
{
	struct state *st = c->thread->st;
	uint64_t size = 0;
	int64_t off = 0;
	int fd;

	if (Py_TYPE(c->result) != st->file_wrapper_type || !st->conf->sendfile ||
	    c->held.n > 0 || !c->begun)
		return false;
	fd = real_file(st, ((struct filewrapper *)c->result)->filelike, &off, &size);
	if (fd < 0) {
		if (!PyErr_Occurred())
			return false;
		*step = RESPONSE_FAILED;
		return true;
	}
	*step = response_send_file(c, fd, off, size) < 0 ? RESPONSE_FAILED : RESPONSE_DONE;
	return true;
}

static PyMethodDef filewrapper_methods[] = {
    {"close", filewrapper_close, METH_NOARGS, "Close the wrapped file."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef filewrapper_members[] = {
    {"filelike", T_OBJECT, offsetof(struct filewrapper, filelike), READONLY,
	"what is wrapped"},
    {"blksize", T_PYSSIZET, offsetof(struct filewrapper, block), READONLY,
	"bytes per item"},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot filewrapper_slots[] = {
    {Py_tp_doc, (void *)"FileWrapper(filelike, blksize=8192): an iterable over a file."},
    {Py_tp_new, (void *)filewrapper_new},
    {Py_tp_dealloc, (void *)filewrapper_dealloc},
    {Py_tp_traverse, (void *)filewrapper_traverse},
    {Py_tp_clear, (void *)filewrapper_clear},
    {Py_tp_iter, (void *)PyObject_SelfIter},
    {Py_tp_iternext, (void *)filewrapper_next},
    {Py_tp_methods, filewrapper_methods},
    {Py_tp_members, filewrapper_members},
    {0, NULL},
};

static PyType_Spec filewrapper_spec = {
    .name = "_shoal.FileWrapper",
    .basicsize = sizeof(struct filewrapper),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = filewrapper_slots,
};

int
filewrapper_add_type(struct state *st, PyObject *module)
{
	st->file_wrapper_type =
	    (PyTypeObject *)PyType_FromModuleAndSpec(module, &filewrapper_spec, NULL);
	return st->file_wrapper_type == NULL ? -1 : 0;
}
