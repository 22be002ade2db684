/* wsgi.input: the request body as a file, with eventlet's extensions.
 * SPDX-License-Identifier: MIT */
#include "worker/py/input.h"

#include "worker/py/face.h"
#include "worker/py/response.h"
#include "worker/py/sock.h"

#define LINE_BUFFER 8192
#define READ_STEP (256 * 1024)       /* first guess for a body of unknown length */
#define READ_WITHOUT_GIL (64 * 1024) /* a copy (or file read) this long lets others run */
#define DISCARD_STEP 16384

struct input {
	struct face face;
	char *line; /* owned: LINE_BUFFER bytes read ahead; NULL until readline() */
	size_t line_at, line_n;
	PyObject *hundred; /* owned: headers for 100 Continue, or NULL */
	bool hundred_sent;
};

static int
raise_broken(struct call *c)
{
	bool bad_framing = false;
	const char *why = req_body_error(c->req, &bad_framing);

	c->input_broken = true;
	PyErr_SetString(bad_framing ? c->thread->st->chunk_error : PyExc_OSError,
	    why != NULL ? why : "the request body is cut");
	return -1;
}

/* With custom headers the 100 Continue is ours to write, before the I/O thread would. */
static int
send_hundred(struct input *in, struct call *c)
{
	if (c->head_out || !c->req->head.expect_continue)
		return 0;
	in->hundred_sent = true;
	c->input_used = true;
	atomic_store_explicit(&c->req->continued, true, memory_order_relaxed);
	return response_interim(c, 100, in->hundred);
}

static int64_t
read_some(struct call *c, char *dst, size_t n)
{
	struct req *r = c->req;
	uint64_t asked = 0;
	bool contested;
	int64_t got;

	/* Only the request's own thread may do without the GIL: the request cannot end
	 * meanwhile. */
	if (n < READ_WITHOUT_GIL || app_thread_current() != c->thread)
		return req_body_read(r, dst, n);
	contested = times_is_contested();
	Py_BEGIN_ALLOW_THREADS got = req_body_read(r, dst, n);
	if (contested)
		asked = executor_clock_ns();
	Py_END_ALLOW_THREADS times_got_gil(c->thread, asked);
	return got;
}

/* At least one byte into dst unless the body is over; waits. > 0 bytes, 0 the end, -1
 * exception. */
static int64_t
input_fetch(struct input *in, char *dst, size_t n)
{
	for (;;) {
		struct call *c = face_call((PyObject *)in);
		int64_t got;

		if (c == NULL)
			return -1;
		c->input_used = true;
		got = read_some(c, dst, n);
		if (got >= 0)
			return got;
		if (got == BODY_BROKEN)
			return raise_broken(c);
		if (in->hundred != NULL && !in->hundred_sent && send_hundred(in, c) < 0)
			return -1;
		if (call_wait(&in->face, CALL_BODY) < 0)
			return -1;
	}
}

static size_t
take_line_buffer(struct input *in, char *dst, size_t n)
{
	n = MIN(n, in->line_n);
	if (n > 0)
		memcpy(dst, in->line + in->line_at, n);
	in->line_at += n;
	in->line_n -= n;
	return n;
}

/* How much to make room for at first when `want` bytes are asked for. */
static size_t
first_guess(struct call *c, struct input *in, size_t want)
{
	uint64_t ready = in->line_n + req_body_ready(c->req);

	return (size_t)MIN((uint64_t)want, MAX(ready, (uint64_t)READ_STEP));
}

/* Exactly `want` bytes, fewer only at the end of the body. */
static PyObject *
input_read_bytes(struct input *in, size_t want)
{
	struct call *c = face_call((PyObject *)in);
	PyObject *bytes;
	size_t have = 0, cap;

	if (c == NULL)
		return NULL;
	cap = first_guess(c, in, want);
	bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)cap);
	if (bytes == NULL)
		return NULL;
	have = take_line_buffer(in, PyBytes_AS_STRING(bytes), cap);
	while (have < want) {
		int64_t got;

		if (have == cap) {
			cap = MIN(want, cap + cap / 2);
			if (_PyBytes_Resize(&bytes, (Py_ssize_t)cap) < 0)
				return NULL;
		}
		got = input_fetch(in, PyBytes_AS_STRING(bytes) + have, cap - have);
		if (got < 0) {
			Py_DECREF(bytes);
			return NULL;
		}
		if (got == 0)
			break;
		have += (size_t)got;
	}
	if (have < cap)
		_PyBytes_Resize(&bytes, (Py_ssize_t)have);
	return bytes;
}

/* None and negative numbers mean "all". */
static int
size_argument(PyObject *const *args, Py_ssize_t nargs, const char *name, size_t *n)
{
	Py_ssize_t v;

	*n = PY_SSIZE_T_MAX;
	if (nargs > 1) {
		PyErr_Format(PyExc_TypeError, "%s takes at most one argument (%zd given)",
		    name, nargs);
		return -1;
	}
	if (nargs == 0 || args[0] == Py_None)
		return 0;
	v = PyNumber_AsSsize_t(args[0], PyExc_OverflowError);
	if (v == -1 && PyErr_Occurred())
		return -1;
	if (v >= 0)
		*n = (size_t)v;
	return 0;
}

static PyObject *
input_read(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	size_t n;

	if (size_argument(args, nargs, "read", &n) < 0)
		return NULL;
	return input_read_bytes((struct input *)self, n);
}

/* One read from the body into the empty line buffer. 1, 0 at the end, -1 exception. */
static int
fill_line_buffer(struct input *in)
{
	int64_t got;

	if (in->line == NULL)
		in->line = malloc(LINE_BUFFER);
	if (in->line == NULL) {
		PyErr_NoMemory();
		return -1;
	}
	got = input_fetch(in, in->line, LINE_BUFFER);
	if (got <= 0)
		return (int)got;
	in->line_at = 0;
	in->line_n = (size_t)got;
	return 1;
}

static PyObject *
input_read_line(struct input *in, size_t max)
{
	PyObject *line = PyBytes_FromStringAndSize(NULL, 0);
	bool ended = max == 0;

	while (line != NULL && !ended) {
		const char *p, *newline;
		Py_ssize_t have = PyBytes_GET_SIZE(line);
		size_t n;
		int rc = in->line_n > 0 ? 1 : fill_line_buffer(in);

		if (rc < 0)
			Py_CLEAR(line);
		if (rc <= 0)
			break;
		p = in->line + in->line_at;
		n = MIN(in->line_n, max - (size_t)have);
		newline = memchr(p, '\n', n);
		if (newline != NULL)
			n = (size_t)(newline - p) + 1;
		ended = newline != NULL || (size_t)have + n == max;
		if (_PyBytes_Resize(&line, have + (Py_ssize_t)n) == 0)
			take_line_buffer(in, PyBytes_AS_STRING(line) + have, n);
	}
	return line;
}

static PyObject *
input_readline(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	size_t n;

	if (size_argument(args, nargs, "readline", &n) < 0)
		return NULL;
	if (face_call(self) == NULL)
		return NULL;
	return input_read_line((struct input *)self, n);
}

static PyObject *
input_readlines(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	PyObject *lines, *line;
	size_t hint, total = 0;
	Py_ssize_t n;

	if (size_argument(args, nargs, "readlines", &hint) < 0 || face_call(self) == NULL)
		return NULL;
	if (hint == 0)
		hint = PY_SSIZE_T_MAX;
	lines = PyList_New(0);
	while (lines != NULL && total < hint) {
		line = input_read_line((struct input *)self, PY_SSIZE_T_MAX);
		n = line != NULL ? PyBytes_GET_SIZE(line) : 0;
		if (line == NULL || (n > 0 && PyList_Append(lines, line) < 0))
			Py_CLEAR(lines);
		Py_XDECREF(line);
		if (n == 0)
			break;
		total += (size_t)n;
	}
	return lines;
}

static PyObject *
input_next(PyObject *self)
{
	PyObject *line;

	if (face_call(self) == NULL)
		return NULL;
	line = input_read_line((struct input *)self, PY_SSIZE_T_MAX);
	if (line != NULL && PyBytes_GET_SIZE(line) == 0)
		Py_CLEAR(line);
	return line;
}

static PyObject *
input_discard(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	struct input *in = (struct input *)self;
	char buf[DISCARD_STEP];
	int64_t got;
	size_t step;

	if (size_argument(args, nargs, "discard", &step) < 0)
		return NULL;
	in->line_n = 0;
	do {
		got = input_fetch(in, buf, sizeof(buf));
	} while (got > 0);
	if (got < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
input_get_socket(PyObject *self, PyObject *unused)
{
	struct call *c = face_call(self);

	(void)unused;
	return c != NULL ? sock_make(c) : NULL;
}

static PyObject *
input_set_hundred(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	struct input *in = (struct input *)self;
	PyObject *headers;

	if (nargs < 1 || nargs > 2)
		return PyErr_Format(PyExc_TypeError,
		    "set_hundred_continue_response_headers takes a list of pairs");
	headers = PySequence_List(args[0]);
	if (headers == NULL)
		return NULL;
	Py_XSETREF(in->hundred, headers);
	in->hundred_sent = false;
	Py_RETURN_NONE;
}

static PyObject *
input_send_hundred(PyObject *self, PyObject *unused)
{
	struct call *c = face_call(self);

	(void)unused;
	if (c == NULL || send_hundred((struct input *)self, c) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
input_get_should_send(PyObject *self, void *unused)
{
	struct input *in = (struct input *)self;
	struct call *c = in->face.call;

	(void)unused;
	return PyBool_FromLong(
	    c != NULL && c->req->head.expect_continue && !c->head_out && !in->hundred_sent);
}

void
input_reset(PyObject *self)
{
	struct input *in = (struct input *)self;

	free(in->line);
	in->line = NULL;
	in->line_at = in->line_n = 0;
	in->hundred_sent = false;
	Py_CLEAR(in->hundred);
}

static void
input_dealloc(PyObject *self)
{
	input_reset(self);
	face_free(self, FACE_INPUT);
}

#define FAST(name, function, doc)                                                          \
	{                                                                                  \
		name, (PyCFunction)(void (*)(void))(function), METH_FASTCALL, doc          \
	}

static PyMethodDef input_methods[] = {
    FAST("read", input_read, "read(size=-1) -> bytes"),
    FAST("readline", input_readline, "readline(size=-1) -> bytes"),
    FAST("readlines", input_readlines, "readlines(hint=-1) -> list of bytes"),
    FAST("discard", input_discard, "Read the rest of the body and forget it."),
    FAST("set_hundred_continue_response_headers", input_set_hundred,
	"Headers of the 100 Continue still to be sent."),
    {"send_hundred_continue_response", input_send_hundred, METH_NOARGS,
	"Send 100 Continue now, if the client expects it."},
    {"get_socket", input_get_socket, METH_NOARGS, "A socket object of the connection."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef input_getset[] = {
    {"should_send_hundred_continue", input_get_should_send, NULL,
	"whether the client waits for 100 Continue", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot input_slots[] = {
    {Py_tp_doc, (void *)"wsgi.input: the request body."},
    {Py_tp_dealloc, (void *)input_dealloc},
    {Py_tp_iter, (void *)PyObject_SelfIter},
    {Py_tp_iternext, (void *)input_next},
    {Py_tp_methods, input_methods},
    {Py_tp_getset, input_getset},
    {0, NULL},
};

static PyType_Spec input_spec = {
    .name = "_shoal.Input",
    .basicsize = sizeof(struct input),
    .flags = FACE_TYPE_FLAGS,
    .slots = input_slots,
};

int
input_add_type(struct state *st, PyObject *module)
{
	return face_add_type(st, module, &input_spec, FACE_INPUT);
}
