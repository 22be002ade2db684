/* The request line in the environ. SPDX-License-Identifier: MIT */
#include "worker/py/paths.h"

#define TARGETS_KEPT 64
#define TARGET_MAX_LEN 256 /* longer ones are not kept */

struct paths {
	struct state *st;                        /* borrowed */
	struct path_names targets[TARGETS_KEPT]; /* owned here; raw NULL: free */
	struct path_names once;                  /* the last one too long to keep */
};

struct paths *
paths_create(struct state *st)
{
	struct paths *p = calloc(1, sizeof(*p));

	if (p != NULL)
		p->st = st;
	return p;
}

static void
target_clear(struct path_names *t)
{
	Py_CLEAR(t->raw);
	Py_CLEAR(t->raw_path);
	Py_CLEAR(t->path);
	Py_CLEAR(t->query);
}

void
paths_destroy(struct paths *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < TARGETS_KEPT; i++)
		target_clear(&p->targets[i]);
	target_clear(&p->once);
	free(p);
}

static int
hex(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	ch |= 0x20;
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* PEP 3333: the bytes, decoded as latin-1. A `%` that starts no escape stays as it is. */
static PyObject *
percent_decode(struct str s)
{
	char stack[1024], *buf = stack;
	PyObject *text;
	size_t n = 0;

	stack[0] =
	    '\0'; /* of nothing there is nothing to decode, which compilers don't see */
	if (s.n > sizeof(stack)) {
		buf = PyMem_Malloc(s.n);
		if (buf == NULL)
			return PyErr_NoMemory();
	}
	for (size_t i = 0; i < s.n; i++) {
		int hi, lo;

		if (s.p[i] == '%' && i + 2 < s.n && (hi = hex(s.p[i + 1])) >= 0 &&
		    (lo = hex(s.p[i + 2])) >= 0) {
			buf[n++] = (char)(hi << 4 | lo);
			i += 2;
		} else {
			buf[n++] = s.p[i];
		}
	}
	text = PyUnicode_DecodeLatin1(buf, (Py_ssize_t)n, NULL);
	if (buf != stack)
		PyMem_Free(buf);
	return text;
}

/* A part of the target; `whole` (borrowed) when it is all of it, so that objects are
 * shared. */
static PyObject *
part_of(PyObject *whole, struct str all, struct str part)
{
	if (part.n == all.n) {
		Py_INCREF(whole);
		return whole;
	}
	return PyUnicode_DecodeLatin1(part.p, (Py_ssize_t)part.n, NULL);
}

static PyObject *
raw_path_of(const struct paths *p, const struct req *r, PyObject *raw, struct str target,
    struct str path)
{
	enum key_id key;

	if (path.n > 0)
		return part_of(raw, target, path);
	key = r->head.form == TARGET_ASTERISK ? KEY_star : KEY_slash;
	Py_INCREF(p->st->keys[key]);
	return p->st->keys[key];
}

static int
target_fill(struct paths *p, struct path_names *t, const struct req *r)
{
	struct str target = span_str(r->base, r->head.target);
	struct str path = span_str(r->base, r->head.path);
	struct str query = span_str(r->base, r->head.query);

	target_clear(t);
	t->raw = PyUnicode_DecodeLatin1(target.p, (Py_ssize_t)target.n, NULL);
	if (t->raw == NULL)
		return -1;
	t->raw_path = raw_path_of(p, r, t->raw, target, path);
	if (t->raw_path != NULL && path.n > 0 && memchr(path.p, '%', path.n) != NULL) {
		t->path = percent_decode(path);
	} else if (t->raw_path != NULL) {
		Py_INCREF(t->raw_path);
		t->path = t->raw_path;
	}
	t->query = PyUnicode_DecodeLatin1(query.p, (Py_ssize_t)query.n, NULL);
	if (t->raw_path != NULL && t->path != NULL && t->query != NULL)
		return 0;
	target_clear(t);
	return -1;
}

static struct path_names *
target_slot(struct paths *p, struct str target)
{
	uint64_t last = 0;

	memcpy(&last, target.p + target.n - MIN(target.n, 8), MIN(target.n, 8));
	return &p->targets[((last * 0x9e3779b97f4a7c15u) >> 48 ^ target.n) % TARGETS_KEPT];
}

PyObject *
paths_method(struct state *st, const struct req *r)
{
	struct str method = span_str(r->base, r->head.method);

	for (int k = KEY_GET; k <= KEY_PATCH; k++) {
		PyObject *known = st->keys[k];

		if ((size_t)PyUnicode_GET_LENGTH(known) == method.n &&
		    memcmp(PyUnicode_1BYTE_DATA(known), method.p, method.n) == 0) {
			Py_INCREF(known);
			return known;
		}
	}
	return PyUnicode_DecodeLatin1(method.p, (Py_ssize_t)method.n, NULL);
}

const struct path_names *
paths_target(struct paths *p, const struct req *r)
{
	struct str target = span_str(r->base, r->head.target);
	struct path_names *t = &p->once;

	if (LIKELY(target.n <= TARGET_MAX_LEN)) {
		t = target_slot(p, target);
		if (t->raw != NULL && (size_t)PyUnicode_GET_LENGTH(t->raw) == target.n &&
		    memcmp(PyUnicode_1BYTE_DATA(t->raw), target.p, target.n) == 0)
			return t;
	}
	return target_fill(p, t, r) < 0 ? NULL : t;
}
