/* Environs to copy. Why: setting forty keys costs three times as much as copying a dict
 * that has them, and most of a client's requests differ in little. SPDX-License-Identifier:
 * MIT */
#include "worker/py/shape.h"

#include "worker/py/face.h"
#include "worker/py/input.h"
#include "worker/py/names.h"
#include "worker/py/paths.h"
#include "worker/py/peers.h"
#include "worker/py/sock.h"

#include <stdio.h>

#define SHAPES 8
#define SHAPE_HEAD_MAX 16384 /* a longer head is not kept */

/* Keys whose value is often that of the request before. */
enum slot {
	S_METHOD,
	S_RAW,
	S_RAW_PATH,
	S_PATH,
	S_QUERY,
	S_PROTOCOL,
	S_ADDR,
	S_PORT,
	S_NAME,
	S_SERVER_PORT,
	SLOTS
};

static const enum key_id slot_keys[SLOTS] = {
    [S_METHOD] = KEY_REQUEST_METHOD,
    [S_RAW] = KEY_RAW_URI,
    [S_RAW_PATH] = KEY_RAW_PATH_INFO,
    [S_PATH] = KEY_PATH_INFO,
    [S_QUERY] = KEY_QUERY_STRING,
    [S_PROTOCOL] = KEY_SERVER_PROTOCOL,
    [S_ADDR] = KEY_REMOTE_ADDR,
    [S_PORT] = KEY_REMOTE_PORT,
    [S_NAME] = KEY_SERVER_NAME,
    [S_SERVER_PORT] = KEY_SERVER_PORT,
};

static const struct {
	enum face_kind kind;
	enum key_id key;
} shape_faces[] = {
    {FACE_INPUT, KEY_wsgi_input},
    {FACE_TRANSFER, KEY_shoal_transfer},
    {FACE_EARLY_HINTS, KEY_shoal_early_hints},
    {FACE_SOCKET, KEY_gunicorn_socket},
    {FACE_DEADLINE, KEY_shoal_deadline},
};

static const enum key_id list_keys[] = {KEY_eventlet_posthooks, KEY_shoal_delivered_hooks};

struct shape {
	PyObject *dict; /* owned: the environ as it was handed out; NULL: free */
	PyObject *raw;  /* borrowed from dict: headers_raw */
	PyObject
	    *keys[HEAD_FIELDS_MAX]; /* owned: environ key of each field, NULL: dropped */
	uint32_t n_keys;
	bool https;
	PyObject *slots[SLOTS];                /* borrowed from dict */
	PyObject *faces[FACE_KINDS];           /* owned */
	PyObject *lists[ARRAY_LEN(list_keys)]; /* owned */
};

struct shapes {
	struct shape shapes[SHAPES];
};

struct shapes *
shapes_create(void)
{
	return calloc(1, sizeof(struct shapes));
}

/* Forgets the environ; faces and lists stay for the next one. */
static void
shape_clear(struct shape *s)
{
	for (uint32_t i = 0; i < s->n_keys; i++)
		Py_CLEAR(s->keys[i]);
	s->n_keys = 0;
	s->raw = NULL;
	memset(s->slots, 0, sizeof(s->slots));
	Py_CLEAR(s->dict);
}

void
shapes_destroy(struct shapes *all)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < SHAPES; i++) {
		struct shape *s = &all->shapes[i];

		shape_clear(s);
		for (size_t k = 0; k < FACE_KINDS; k++)
			Py_CLEAR(s->faces[k]);
		for (size_t k = 0; k < ARRAY_LEN(list_keys); k++)
			Py_CLEAR(s->lists[k]);
	}
	free(all);
}

static struct shape *
shape_of(struct shapes *all, const struct head *h)
{
	uint32_t sum = h->n_fields;

	for (uint32_t i = 0; i < h->n_fields; i++)
		sum = sum * 5 + h->fields[i].name.len;
	return &all->shapes[sum % SHAPES];
}

static bool
same_text(PyObject *text, struct str s)
{
	return (size_t)PyUnicode_GET_LENGTH(text) == s.n &&
	       memcmp(PyUnicode_1BYTE_DATA(text), s.p, s.n) == 0;
}

static PyObject *
raw_part(const struct shape *s, uint32_t field, int part)
{
	return PyTuple_GET_ITEM(PyTuple_GET_ITEM(s->raw, field), part);
}

static bool
shape_matches(const struct shape *s, const struct req *r)
{
	const struct head *h = &r->head;

	if (s->dict == NULL || s->n_keys != h->n_fields || s->https != r->https ||
	    h->form == TARGET_ABSOLUTE)
		return false;
	for (uint32_t i = 0; i < h->n_fields; i++)
		if (!same_text(raw_part(s, i, 0), span_str(r->base, h->fields[i].name)) ||
		    (s->keys[i] == NULL) != ((h->fields[i].flags & FIELD_DROPPED) != 0))
			return false;
	return true;
}

/* headers_raw of the last request, to be changed: nobody has seen this copy. */
static PyObject *
raw_copy(const struct shape *s)
{
	PyObject *raw = PyTuple_New(s->n_keys);

	for (uint32_t i = 0; raw != NULL && i < s->n_keys; i++) {
		PyObject *pair = PyTuple_GET_ITEM(s->raw, i);

		Py_INCREF(pair);
		PyTuple_SET_ITEM(raw, i, pair);
	}
	return raw;
}

/* Field i has another value than last time. */
static int
update_field(struct shape *s, struct call *c, PyObject *raw, uint32_t i)
{
	PyObject *key, *old = PyTuple_GET_ITEM(raw, i);
	PyObject *pair =
	    names_pair(c->thread->names, &c->req->head.fields[i], c->req, &key);

	if (pair == NULL)
		return -1;
	Py_DECREF(key);
	PyTuple_SET_ITEM(raw, i, pair);
	Py_DECREF(old);
	if (s->keys[i] == NULL)
		return 0;
	return PyDict_SetItem(s->dict, s->keys[i], PyTuple_GET_ITEM(pair, 1));
}

/* The names are those of the last request of this shape. */
static int
shape_update(struct shape *s, struct call *c)
{
	const struct req *r = c->req;
	PyObject *raw = NULL;
	int rc = 0;

	for (uint32_t i = 0; i < s->n_keys && rc == 0; i++) {
		if (LIKELY(same_text(
			raw_part(s, i, 1), span_str(r->base, r->head.fields[i].value))))
			continue;
		if (raw == NULL && (raw = raw_copy(s)) == NULL)
			return -1;
		rc = update_field(s, c, raw, i);
	}
	if (raw == NULL)
		return rc;
	if (rc == 0)
		rc = PyDict_SetItem(s->dict, c->thread->st->keys[KEY_headers_raw], raw);
	if (rc == 0)
		s->raw = raw;
	Py_DECREF(raw);
	return rc;
}

/* A field into the environ; one more value of a name is joined (RFC 9110 5.3; Cookie:
 * 6265 5.4). *joined: the shape cannot be used again, values depend on each other. */
static int
add_field(struct shape *s, struct state *st, PyObject *key, PyObject *value, bool *joined)
{
	PyObject *have = PyDict_GetItemWithError(s->dict, key), *sep, *both, *all;
	int rc = -1;

	if (have == NULL && PyErr_Occurred())
		return -1;
	if (LIKELY(have == NULL) || key == st->keys[KEY_CONTENT_TYPE])
		return PyDict_SetItem(s->dict, key, value);
	*joined = true;
	sep = st->keys[key == st->keys[KEY_HTTP_COOKIE] ? KEY_semicolon : KEY_comma];
	both = PyUnicode_Concat(have, sep);
	all = both != NULL ? PyUnicode_Concat(both, value) : NULL;
	if (all != NULL)
		rc = PyDict_SetItem(s->dict, key, all);
	Py_XDECREF(all);
	Py_XDECREF(both);
	return rc;
}

static int
fill_fields(struct shape *s, struct call *c, bool *joined)
{
	const struct req *r = c->req;
	struct state *st = c->thread->st;
	PyObject *raw = PyTuple_New(r->head.n_fields), *pair, *key;
	int rc = raw == NULL ? -1 : 0;

	for (uint32_t i = 0; i < r->head.n_fields && rc == 0; i++) {
		pair = names_pair(c->thread->names, &r->head.fields[i], r, &key);
		if (pair == NULL) {
			rc = -1;
			break;
		}
		PyTuple_SET_ITEM(raw, i, pair);
		if (r->head.fields[i].flags & FIELD_DROPPED)
			Py_CLEAR(key);
		s->keys[s->n_keys++] = key;
		if (key != NULL)
			rc = add_field(s, st, key, PyTuple_GET_ITEM(pair, 1), joined);
	}
	if (rc == 0)
		rc = PyDict_SetItem(s->dict, st->keys[KEY_headers_raw], raw);
	s->raw = raw;
	Py_XDECREF(raw);
	return rc;
}

/* The authority of an absolute-form target counts, not Host (RFC 9112 3.2.2). */
static int
set_host(PyObject *env, struct state *st, const struct req *r)
{
	struct str host = span_str(r->base, r->head.host);
	PyObject *text = PyUnicode_DecodeLatin1(host.p, (Py_ssize_t)host.n, NULL);
	int rc = text == NULL ? -1 : PyDict_SetItem(env, st->keys[KEY_HTTP_HOST], text);

	Py_XDECREF(text);
	return rc;
}

/* From the beginning: another shape had this place. */
static int
shape_make(struct shape *s, struct call *c, bool *once)
{
	struct state *st = c->thread->st;
	const struct req *r = c->req;
	int rc = 0;

	shape_clear(s);
	s->dict = PyDict_Copy(st->template);
	if (s->dict == NULL)
		return -1;
	s->https = r->https;
	if (r->https)
		rc = PyDict_SetItem(
		    s->dict, st->keys[KEY_wsgi_url_scheme], st->keys[KEY_https]);
	if (r->https && rc == 0)
		rc = PyDict_SetItem(s->dict, st->keys[KEY_HTTPS], st->keys[KEY_on]);
	for (size_t i = 0; i < ARRAY_LEN(shape_faces) && rc == 0; i++) {
		PyObject *face = s->faces[shape_faces[i].kind];

		if (face != NULL)
			rc = PyDict_SetItem(s->dict, st->keys[shape_faces[i].key], face);
	}
	if (rc == 0 && s->faces[FACE_INPUT] != NULL)
		rc = PyDict_SetItem(
		    s->dict, st->keys[KEY_eventlet_input], s->faces[FACE_INPUT]);
	for (size_t i = 0; i < ARRAY_LEN(list_keys) && rc == 0; i++)
		if (s->lists[i] != NULL)
			rc = PyDict_SetItem(s->dict, st->keys[list_keys[i]], s->lists[i]);
	if (rc == 0)
		rc = fill_fields(s, c, once);
	if (rc == 0 && r->head.form == TARGET_ABSOLUTE)
		rc = set_host(s->dict, st, r);
	return rc;
}

/* Nobody but dict and shape had the object at the end of its last request. */
static bool
is_free(PyObject *o, Py_ssize_t refs)
{
	return o != NULL && Py_REFCNT(o) == refs;
}

static int
set_faces(struct shape *s, struct call *c)
{
	struct state *st = c->thread->st;

	for (size_t i = 0; i < ARRAY_LEN(shape_faces); i++) {
		enum face_kind kind = shape_faces[i].kind;
		Py_ssize_t refs = kind == FACE_INPUT ? 3 : 2; /* it has two keys */
		PyObject *face = s->faces[kind];

		if (LIKELY(is_free(face, refs))) {
			((struct face *)face)->call = c;
		} else {
			face = (PyObject *)face_new(c, kind);
			if (face == NULL)
				return -1;
			Py_XSETREF(s->faces[kind], face);
			if (PyDict_SetItem(s->dict, st->keys[shape_faces[i].key], face) < 0)
				return -1;
			if (kind == FACE_INPUT &&
			    PyDict_SetItem(s->dict, st->keys[KEY_eventlet_input], face) < 0)
				return -1;
		}
		Py_INCREF(face);
		c->faces[kind] = face;
	}
	return 0;
}

static int
set_lists(struct shape *s, struct call *c)
{
	for (size_t i = 0; i < ARRAY_LEN(list_keys); i++) {
		PyObject *list = s->lists[i];

		if (UNLIKELY(!is_free(list, 2) || PyList_GET_SIZE(list) > 0)) {
			list = PyList_New(0);
			if (list == NULL)
				return -1;
			Py_XSETREF(s->lists[i], list);
			if (PyDict_SetItem(
				s->dict, c->thread->st->keys[list_keys[i]], list) < 0)
				return -1;
		}
		Py_INCREF(list);
		c->lists[i] = list;
	}
	return 0;
}

static int
set_slot(struct shape *s, struct state *st, enum slot slot, PyObject *value)
{
	if (LIKELY(s->slots[slot] == value))
		return 0;
	s->slots[slot] = NULL;
	if (PyDict_SetItem(s->dict, st->keys[slot_keys[slot]], value) < 0)
		return -1;
	s->slots[slot] = value;
	return 0;
}

/* As set_slot; the reference is taken over. */
static int
set_slot_new(struct shape *s, struct state *st, enum slot slot, PyObject *value)
{
	int rc = value == NULL ? -1 : set_slot(s, st, slot, value);

	Py_XDECREF(value);
	return rc;
}

static int
set_protocol(struct shape *s, struct state *st, const struct req *r)
{
	char text[16];

	if (st->eventlet)
		return 0; /* HTTP/1.0 always, in the template */
	if (LIKELY(r->head.version_minor <= 1))
		return set_slot(s, st, S_PROTOCOL,
		    st->keys[r->head.version_minor == 1 ? KEY_http_1_1 : KEY_http_1_0]);
	snprintf(text, sizeof(text), "HTTP/1.%u", r->head.version_minor);
	return set_slot_new(s, st, S_PROTOCOL, PyUnicode_FromString(text));
}

static int
set_slots(struct shape *s, struct call *c)
{
	struct app_thread *t = c->thread;
	struct state *st = t->st;
	const struct path_names *target = paths_target(t->paths, c->req);
	struct peer_names peer;

	if (target == NULL || set_slot(s, st, S_RAW, target->raw) < 0 ||
	    set_slot(s, st, S_RAW_PATH, target->raw_path) < 0 ||
	    set_slot(s, st, S_PATH, target->path) < 0 ||
	    set_slot(s, st, S_QUERY, target->query) < 0)
		return -1;
	if (peers_client(t->peers, c->req, &peer) < 0 ||
	    set_slot(s, st, S_ADDR, peer.host) < 0 ||
	    set_slot(s, st, S_PORT, peer.port) < 0)
		return -1;
	if (peers_server(t->peers, c->req, &peer) < 0 ||
	    set_slot(s, st, S_NAME, peer.host) < 0 ||
	    set_slot(s, st, S_SERVER_PORT, peer.port) < 0)
		return -1;
	if (set_protocol(s, st, c->req) < 0)
		return -1;
	return set_slot_new(s, st, S_METHOD, paths_method(st, c->req));
}

/* The unique name of a request: prefix of this worker's life, number of the request. */
static int
set_request_id(struct shape *s, struct state *st, const struct req *r)
{
	char buf[sizeof(st->id_prefix) + 20], *end = buf + sizeof(buf), *p = end;
	uint64_t n = r->serial;
	PyObject *id;
	int rc;

	do {
		*--p = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	p -= st->id_prefix_len;
	memcpy(p, st->id_prefix, st->id_prefix_len);
	id = PyUnicode_DecodeLatin1(p, end - p, NULL);
	rc = id == NULL ? -1 : PyDict_SetItem(s->dict, st->keys[KEY_shoal_request_id], id);
	Py_XDECREF(id);
	return rc;
}

PyObject *
shapes_environ(struct shapes *all, struct call *c)
{
	struct shape *s = shape_of(all, &c->req->head);
	struct state *st = c->thread->st;
	PyObject *env = NULL;
	bool once = false;
	int rc;

	if (LIKELY(shape_matches(s, c->req)))
		rc = shape_update(s, c);
	else
		rc = shape_make(s, c, &once);
	if (rc == 0 && set_slots(s, c) == 0 && set_faces(s, c) == 0 &&
	    set_lists(s, c) == 0 && set_request_id(s, st, c->req) == 0)
		env = PyDict_Copy(s->dict);
	once = once || c->req->head.form == TARGET_ABSOLUTE ||
	       c->req->head.end > SHAPE_HEAD_MAX;
	if (UNLIKELY(env == NULL || once))
		shape_clear(s);
	if (LIKELY(env != NULL))
		c->transfer_refs = Py_REFCNT(c->faces[FACE_TRANSFER]);
	return env;
}

void
shapes_take_back(struct call *c)
{
	PyObject *input = c->faces[FACE_INPUT], *sock = c->faces[FACE_SOCKET];

	/* What a face holds must not wait for the shape's next request. */
	if (is_free(input, 4)) /* call, shape, two keys */
		input_reset(input);
	if (is_free(sock, 3))
		sock_reset(sock);
	for (size_t i = 0; i < ARRAY_LEN(list_keys); i++) {
		PyObject *list = c->lists[i];

		if (is_free(list, 3) && PyList_GET_SIZE(list) > 0 &&
		    PyList_SetSlice(list, 0, PyList_GET_SIZE(list), NULL) < 0)
			PyErr_Clear();
		Py_CLEAR(c->lists[i]);
	}
	for (int k = 0; k < FACE_KINDS; k++)
		Py_CLEAR(c->faces[k]);
}
