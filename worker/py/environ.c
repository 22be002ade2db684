/* The environ: a copy of a prepared dictionary, then what differs from request to request.
 * SPDX-License-Identifier: MIT */
#include "worker/py/environ.h"

#include "common/conf_compat.h"
#include "worker/py/errors.h"
#include "worker/py/shape.h"

/* --environ KEY=VALUE */
static int
add_configured(PyObject *d, const struct strlist *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *text = list->v[i], *eq = strchr(text, '=');
		PyObject *key, *value;
		int rc = -1;

		if (eq == NULL)
			continue; /* refused by the configuration already */
		key = PyUnicode_DecodeFSDefaultAndSize(text, eq - text);
		value = PyUnicode_DecodeFSDefault(eq + 1);
		if (key != NULL && value != NULL) {
			PyUnicode_InternInPlace(&key);
			rc = PyDict_SetItem(d, key, value);
		}
		Py_XDECREF(key);
		Py_XDECREF(value);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* "N" references are taken over. */
static int
set_new(PyObject *d, struct state *st, enum key_id key, PyObject *value)
{
	int rc = value == NULL ? -1 : PyDict_SetItem(d, st->keys[key], value);

	Py_XDECREF(value);
	return rc;
}

/* Room for a browser's header fields: PyDict_Copy keeps the table's size, and growing it in
 * every request would cost as much as filling it. A table grows when an insertion finds no
 * free entry, by the number of live keys; deleted ones use up entries as well. */
static int
make_roomy(PyObject *d)
{
	PyObject *probe = PyUnicode_InternFromString(" "), *size;
	size_t first = 0, now = 0;
	int rc = probe == NULL ? -1 : 0;

	for (int i = 0; i < 256 && rc == 0 && now == first; i++) {
		rc = PyDict_SetItem(d, probe, Py_None);
		if (rc == 0)
			rc = PyDict_DelItem(d, probe);
		size = PyObject_CallMethod(d, "__sizeof__", NULL);
		now = size != NULL ? PyLong_AsSize_t(size) : 0;
		Py_XDECREF(size);
		if (i == 0)
			first = now;
	}
	Py_XDECREF(probe);
	return PyErr_Occurred() ? -1 : rc;
}

static const enum key_id placeholders[] = {
    /* In the order of the CGI book: what a human sees who prints an environ. */
    KEY_REQUEST_METHOD,
    KEY_SCRIPT_NAME,
    KEY_PATH_INFO,
    KEY_QUERY_STRING,
    KEY_SERVER_PROTOCOL,
    KEY_SERVER_NAME,
    KEY_SERVER_PORT,
    KEY_REMOTE_ADDR,
    KEY_REMOTE_PORT,
    KEY_RAW_URI,
    KEY_RAW_PATH_INFO,
    KEY_headers_raw,
    KEY_wsgi_input,
    KEY_eventlet_input,
    KEY_eventlet_posthooks,
    KEY_gunicorn_socket,
    KEY_shoal_transfer,
    KEY_shoal_delivered_hooks,
    KEY_shoal_early_hints,
    KEY_shoal_deadline,
    KEY_shoal_request_id,
};

static int
set_constants(PyObject *d, struct state *st)
{
	const struct conf *conf = st->conf;
	const struct heritage *h = &st->worker->heritage;

	return set_new(d, st, KEY_SCRIPT_NAME,
		   PyUnicode_DecodeFSDefault(
		       conf->root_path != NULL ? conf->root_path : "")) < 0 ||
		       set_new(d, st, KEY_GATEWAY_INTERFACE,
			   PyUnicode_FromString("CGI/1.1")) < 0 ||
		       set_new(d, st, KEY_wsgi_version, Py_BuildValue("(ii)", 1, 0)) < 0 ||
		       PyDict_SetItem(
			   d, st->keys[KEY_wsgi_url_scheme], st->keys[KEY_http]) < 0 ||
		       set_new(d, st, KEY_wsgi_errors, errors_object(st)) < 0 ||
		       set_new(d, st, KEY_wsgi_multithread,
			   PyBool_FromLong(
			       conf->threads > 1 || conf_compat_green(conf) != NULL)) < 0 ||
		       set_new(d, st, KEY_wsgi_multiprocess,
			   PyBool_FromLong(h->workers > 1)) < 0 ||
		       PyDict_SetItem(d, st->keys[KEY_wsgi_run_once], Py_False) < 0 ||
		       PyDict_SetItem(d, st->keys[KEY_wsgi_file_wrapper],
			   (PyObject *)st->file_wrapper_type) < 0 ||
		       PyDict_SetItem(d, st->keys[KEY_wsgi_input_terminated], Py_True) <
			   0 ||
		       PyDict_SetItem(d, st->keys[KEY_eventlet_set_idle], st->set_idle) <
			   0 ||
		       set_new(d, st, KEY_shoal_worker, PyLong_FromUnsignedLong(h->slot)) <
			   0
		   ? -1
		   : 0;
}

int
environ_prepare(struct state *st)
{
	PyObject *d = PyDict_New();
	int rc = d == NULL ? -1 : 0;

	for (size_t i = 0; i < ARRAY_LEN(placeholders) && rc == 0; i++)
		rc = PyDict_SetItem(d, st->keys[placeholders[i]], Py_None);
	if (rc == 0)
		rc = set_constants(d, st);
	if (rc == 0 && st->eventlet)
		rc = PyDict_SetItem(
		    d, st->keys[KEY_SERVER_PROTOCOL], st->keys[KEY_http_1_0]);
	if (rc == 0 && st->eventlet)
		rc =
		    PyDict_SetItem(d, st->keys[KEY_CONTENT_TYPE], st->keys[KEY_text_plain]);
	if (rc == 0)
		rc = add_configured(d, &st->conf->environ);
	if (rc == 0)
		rc = make_roomy(d);
	if (rc < 0) {
		Py_XDECREF(d);
		return -1;
	}
	Py_XSETREF(st->template, d);
	return 0;
}

int
environ_build(struct call *c)
{
	struct state *st = c->thread->st;

	c->env = shapes_environ(c->thread->shapes, c);
	if (UNLIKELY(c->env == NULL))
		return -1;
	if (UNLIKELY(st->eventlet && !c->req->head.has_query))
		return PyDict_DelItem(c->env, st->keys[KEY_QUERY_STRING]);
	return 0;
}
