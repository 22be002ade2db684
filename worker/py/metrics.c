/* Counting for the application: objects that know the place of each of their series in the
 * worker's table. The GIL makes the one writer. SPDX-License-Identifier: MIT */
#include "worker/py/metrics.h"

#include "common/log.h"
#include "worker/py/face.h"

#include <math.h>
#include <time.h>

#define SECONDS_MAX 1e9

static const char source[] = {
#include "metrics_py.inc"
    , 0};

struct metric {
	PyObject_HEAD struct metric_series like; /* what its series begin as */
	PyObject *name;                          /* owned */
	bool fits;                               /* its head found room in the table */
	int alone;                               /* the series without labels; -1: none */
	PyObject *labels[METRIC_LABELS_MAX];     /* owned, interned */
	PyObject *places; /* owned: a label's value, or a tuple of them -> place */
};

/* Where this process counts: never NULL once the module is there. */
static struct metric_table *table;
static struct metric_table *own; /* table, while that is no worker's */
static bool warned;

/* ---- Which table ---- */

void
metrics_attach(struct metric_table *shared)
{
	metric_inherit(shared, table);
	table = shared;
	free(TAKE_PTR(own));
}

void
metrics_detach(void)
{
	if (own != NULL)
		return;
	own = malloc(sizeof(*own));
	/* The segment of a worker that ends is not needed by others any more. */
	if (own == NULL)
		_exit(3);
	memcpy(own, table, sizeof(*own));
	table = own;
}

/* A process the application forked: its counts must not meet the worker's. */
static PyObject *
on_fork(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	metrics_detach();
	Py_RETURN_NONE;
}

/* ---- Which series ---- */

static void
tell_overflow(void)
{
	atomic_store_explicit(&table->overflow,
	    atomic_load_explicit(&table->overflow, memory_order_relaxed) + 1,
	    memory_order_relaxed);
	if (!warned)
		log_warn("metrics", "no room for more series of the application's metrics",
		    "limit=%d names_and_labels_bytes=%d", METRIC_SERIES, METRIC_TEXT);
	warned = true;
}

/* Appends one value as the table keeps it. What is no UTF-8 (a lone surrogate) becomes "?".
 * -1: exception. */
static int
put_value(char *tail, size_t *n, PyObject *value)
{
	PyObject *bytes = PyUnicode_AsEncodedString(value, "utf-8", "replace");
	size_t length;

	if (bytes == NULL)
		return -1;
	length = (size_t)PyBytes_GET_SIZE(bytes);
	/* One byte more than is kept says where a character begins. */
	length = MIN(length, (size_t)METRIC_VALUE_MAX + 1);
	memcpy(tail + *n, PyBytes_AS_STRING(bytes), length);
	Py_DECREF(bytes);
	*n += metric_clean_value(tail + *n, length);
	tail[(*n)++] = '\0';
	return 0;
}

/* values: one str for each label. The place; -1: none is left, or an exception. */
static int
add_series(struct metric *m, PyObject *const *values)
{
	char tail[METRIC_TAIL_MAX + 2];
	size_t n = 0;

	for (unsigned i = 0; i < m->like.n_labels; i++)
		if (put_value(tail, &n, values[i]) < 0)
			return -1;
	return m->fits ? metric_add(table, &m->like, (struct str){tail, n}) : -1;
}

static PyObject *
make_key(const struct metric *m, PyObject *const *values)
{
	PyObject *key;

	if (m->like.n_labels == 1) {
		Py_INCREF(values[0]);
		return values[0];
	}
	key = PyTuple_New(m->like.n_labels);
	for (unsigned i = 0; key != NULL && i < m->like.n_labels; i++) {
		Py_INCREF(values[i]);
		PyTuple_SET_ITEM(key, i, values[i]);
	}
	return key;
}

static int
find_place(struct metric *m, PyObject *const *values)
{
	PyObject *key = make_key(m, values), *place;
	int at;

	if (key == NULL)
		return -1;
	place = PyDict_GetItemWithError(m->places, key);
	if (place != NULL || PyErr_Occurred()) {
		Py_DECREF(key);
		return place != NULL ? (int)PyLong_AsLong(place) : -1;
	}
	at = add_series(m, values);
	place = at >= 0 ? PyLong_FromLong(at) : NULL;
	if (place != NULL && PyDict_SetItem(m->places, key, place) < 0)
		at = -1;
	Py_XDECREF(place);
	Py_DECREF(key);
	return at;
}

static void
complain(const struct metric *m)
{
	PyObject *names = PyTuple_New(m->like.n_labels);

	for (unsigned i = 0; names != NULL && i < m->like.n_labels; i++) {
		Py_INCREF(m->labels[i]);
		PyTuple_SET_ITEM(names, i, m->labels[i]);
	}
	if (names != NULL)
		PyErr_Format(PyExc_ValueError, "metric %U takes exactly the labels %R",
		    m->name, names);
	Py_XDECREF(names);
}

/* The value given for a label, borrowed; NULL: none was. */
static PyObject *
given(const struct metric *m, unsigned label, PyObject *const *values, PyObject *names)
{
	Py_ssize_t n = PyTuple_GET_SIZE(names);

	/* Names are mostly interned, and in the order they were declared in. */
	for (Py_ssize_t i = 0; i < n; i++) {
		PyObject *name = PyTuple_GET_ITEM(names, (i + label) % n);

		if (name == m->labels[label] ||
		    PyUnicode_Compare(name, m->labels[label]) == 0)
			return values[(i + label) % n];
	}
	return NULL;
}

/* The cells to change. NULL without an exception: there is no room, it was counted. */
static _Atomic uint64_t *
find_cells(struct metric *m, PyObject *const *values, PyObject *names)
{
	const Py_ssize_t n = names != NULL ? PyTuple_GET_SIZE(names) : 0;
	PyObject *texts[METRIC_LABELS_MAX] = {NULL};
	int at = m->alone;

	if (UNLIKELY(n != m->like.n_labels)) {
		complain(m);
		return NULL;
	}
	if (n > 0) {
		unsigned i;

		for (i = 0; i < m->like.n_labels; i++) {
			PyObject *value = given(m, i, values, names);

			if (value == NULL)
				complain(m);
			texts[i] = value != NULL ? PyObject_Str(value) : NULL;
			if (texts[i] == NULL)
				break;
		}
		at = i == m->like.n_labels ? find_place(m, texts) : -1;
		for (i = 0; i < m->like.n_labels; i++)
			Py_XDECREF(texts[i]);
	}
	if (LIKELY(at >= 0))
		return table->series[at].cell;
	if (!PyErr_Occurred())
		tell_overflow();
	return NULL;
}

/* ---- What the application calls ---- */

/* The first argument, a finite number; without one: `none`. NAN: exception. */
static double
read_number(const char *method, PyObject *const *args, Py_ssize_t nargs, double none)
{
	double v;

	if (nargs > 1 || (nargs == 0 && isnan(none))) {
		PyErr_Format(
		    PyExc_TypeError, "%s takes one number, and labels by name", method);
		return NAN;
	}
	if (nargs == 0)
		return none;
	v = PyFloat_CheckExact(args[0]) ? PyFloat_AS_DOUBLE(args[0])
					: PyFloat_AsDouble(args[0]);
	if (LIKELY(isfinite(v)) && !(v == -1 && PyErr_Occurred()))
		return v;
	if (!PyErr_Occurred())
		PyErr_Format(
		    PyExc_ValueError, "%s takes a finite number, not %R", method, args[0]);
	return NAN;
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* A sum beyond all doubles stays where it was. */
static void
add(_Atomic uint64_t *cell, double v)
{
	double sum = metric_cell_get(cell) + v;

	if (LIKELY(isfinite(sum)))
		metric_cell_set(cell, sum);
}

static PyObject *
change(struct metric *m, double v, bool absolute, PyObject *const *values, PyObject *names)
{
	_Atomic uint64_t *cell = isnan(v) ? NULL : find_cells(m, values, names);

	if (cell == NULL) {
		if (PyErr_Occurred())
			return NULL;
		Py_RETURN_NONE;
	}
	if (absolute)
		metric_cell_set(&cell[METRIC_CELL_VALUE], v);
	else
		add(&cell[METRIC_CELL_VALUE], v);
	/* In the other modes it only says that there is a value. */
	if (m->like.mode != METRIC_SUM)
		atomic_store_explicit(&cell[METRIC_CELL_STAMP],
		    m->like.mode == METRIC_LAST ? now_ns() : 1, memory_order_relaxed);
	Py_RETURN_NONE;
}

#define METHOD_ARGS PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names

static PyObject *
on_inc(METHOD_ARGS)
{
	struct metric *m = (struct metric *)self;
	double v = read_number("inc", args, nargs, 1);

	if (UNLIKELY(v < 0 && m->like.kind == METRIC_COUNTER))
		return PyErr_Format(PyExc_ValueError,
		    "counter %U only grows: inc takes no negative number", m->name);
	return change(m, v, false, args + nargs, names);
}

static PyObject *
on_dec(METHOD_ARGS)
{
	return change((struct metric *)self, -read_number("dec", args, nargs, 1), false,
	    args + nargs, names);
}

static PyObject *
on_set(METHOD_ARGS)
{
	return change((struct metric *)self, read_number("set", args, nargs, NAN), true,
	    args + nargs, names);
}

static PyObject *
on_observe(METHOD_ARGS)
{
	double v = read_number("observe", args, nargs, NAN);
	_Atomic uint64_t *cell =
	    isnan(v) ? NULL : find_cells((struct metric *)self, args + nargs, names);

	if (cell == NULL) {
		if (PyErr_Occurred())
			return NULL;
		Py_RETURN_NONE;
	}
	/* A clock that was set back makes durations below 0. */
	v = MAX(v, 0);
	counter_add(&cell[hist_class((uint64_t)(MIN(v, SECONDS_MAX) * 1e9 + 0.5))], 1);
	add(&cell[METRIC_CELL_SUM], v);
	Py_RETURN_NONE;
}

#define FAST(name, function, doc)                                                          \
	{                                                                                  \
		name, (PyCFunction)(void (*)(void))(function),                             \
		    METH_FASTCALL | METH_KEYWORDS, doc                                     \
	}

static PyMethodDef counter_methods[] = {
    FAST("inc", on_inc, "inc(amount=1, /, **labels)"),
    {NULL, NULL, 0, NULL},
};

static PyMethodDef gauge_methods[] = {
    FAST("set", on_set, "set(value, /, **labels)"),
    FAST("inc", on_inc, "inc(amount=1, /, **labels)"),
    FAST("dec", on_dec, "dec(amount=1, /, **labels)"),
    {NULL, NULL, 0, NULL},
};

static PyMethodDef histogram_methods[] = {
    FAST("observe", on_observe, "observe(seconds, /, **labels)"),
    {NULL, NULL, 0, NULL},
};

/* ---- Making them ---- */

static void
metric_dealloc(PyObject *self)
{
	struct metric *m = (struct metric *)self;
	PyTypeObject *type = Py_TYPE(self);

	for (unsigned i = 0; i < METRIC_LABELS_MAX; i++)
		Py_XDECREF(m->labels[i]);
	Py_XDECREF(m->places);
	Py_XDECREF(m->name);
	PyObject_Free(self);
	Py_DECREF(type);
}

/* labels: a tuple of str, checked by metrics.py as everything else. */
static int
metric_fill(struct metric *m, PyObject *head, PyObject *labels)
{
	m->alone = -1;
	m->places = PyDict_New();
	if (m->places == NULL)
		return -1;
	for (unsigned i = 0; i < m->like.n_labels; i++) {
		m->labels[i] = PyTuple_GET_ITEM(labels, i);
		Py_INCREF(m->labels[i]);
		PyUnicode_InternInPlace(&m->labels[i]);
	}
	m->fits = metric_put_text(
	    table, PyBytes_AS_STRING(head), (size_t)PyBytes_GET_SIZE(head), &m->like.head);
	if (m->like.n_labels == 0)
		m->alone = add_series(m, NULL);
	return PyErr_Occurred() ? -1 : 0;
}

/* make(kind, mode, name, head, labels): head is the bytes of a table, see common/metric.h.
 */
static PyObject *
on_make(PyObject *module, PyObject *args)
{
	PyObject *name, *head, *labels;
	struct metric *m;
	int kind, mode;

	(void)module;
	if (!PyArg_ParseTuple(args, "iiUO!O!", &kind, &mode, &name, &PyBytes_Type, &head,
		&PyTuple_Type, &labels))
		return NULL;
	if (kind < 0 || kind >= METRIC_KINDS || mode < 0 || mode >= METRIC_MODES ||
	    PyTuple_GET_SIZE(labels) > METRIC_LABELS_MAX)
		return PyErr_Format(PyExc_ValueError, "no such metric");
	m = PyObject_New(struct metric, state_get()->metric_types[kind]);
	if (m == NULL)
		return NULL;
	memset((char *)m + sizeof(PyObject), 0, sizeof(*m) - sizeof(PyObject));
	Py_INCREF(name);
	m->name = name;
	m->like.kind = (uint8_t)kind;
	m->like.mode = (uint8_t)mode;
	m->like.n_labels = (uint8_t)PyTuple_GET_SIZE(labels);
	if (metric_fill(m, head, labels) < 0)
		Py_CLEAR(m);
	return (PyObject *)m;
}

#define TYPE(kind, text, methods_)                                                         \
	{                                                                                  \
		.name = "shoal.metrics." text, .basicsize = sizeof(struct metric),         \
		.flags = FACE_TYPE_FLAGS, .slots = (PyType_Slot[])                         \
		{                                                                          \
			{Py_tp_doc, (void *)"A " text " of the application's."},           \
			    {Py_tp_dealloc, (void *)metric_dealloc},                       \
			    {Py_tp_methods, methods_}, {0, NULL},                          \
		}                                                                          \
	}

static PyType_Spec specs[METRIC_KINDS] = {
    [METRIC_COUNTER] = TYPE(METRIC_COUNTER, "Counter", counter_methods),
    [METRIC_GAUGE] = TYPE(METRIC_GAUGE, "Gauge", gauge_methods),
    [METRIC_HISTOGRAM] = TYPE(METRIC_HISTOGRAM, "Histogram", histogram_methods),
};

static PyMethodDef make_def = {"make_metric", on_make, METH_VARARGS, NULL};
static PyMethodDef fork_def = {"after_fork", on_fork, METH_NOARGS, NULL};

int
metrics_add_module(struct state *st, PyObject *module)
{
	PyObject *make, *forked, *done;

	own = table = calloc(1, sizeof(*own));
	if (own == NULL) {
		PyErr_NoMemory();
		return -1;
	}
	for (unsigned i = 0; i < METRIC_KINDS; i++) {
		st->metric_types[i] = face_make_type(module, &specs[i]);
		if (st->metric_types[i] == NULL)
			return -1;
	}
	make = PyCFunction_New(&make_def, module);
	forked = PyCFunction_New(&fork_def, module);
	done = make == NULL || forked == NULL ? NULL
					      : state_call_boot(st, "add_metrics", "(siOO)",
						    source, METRIC_SERIES, make, forked);
	Py_XDECREF(make);
	Py_XDECREF(forked);
	Py_XDECREF(done);
	return done == NULL ? -1 : 0;
}
