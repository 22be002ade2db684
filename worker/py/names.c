/* The cache of header objects. Why: making fifteen names and values anew costs more than
 * the rest of a request. SPDX-License-Identifier: MIT */
#include "worker/py/names.h"

#include <strings.h>

#define NAMES_SETS 64
#define NAMES_WAYS 4
#define NAME_MAX_LEN 64    /* longer names are not kept */
#define VALUE_MAX_LEN 1024 /* longer values are not kept */

struct name {
	PyObject *key;   /* owned: "HTTP_USER_AGENT", interned; NULL: a free entry */
	PyObject *raw;   /* owned: the name as last received */
	PyObject *value; /* owned: as last received */
	PyObject *pair;  /* owned: (raw, value); NULL until there was a value */
	uint64_t stamp;  /* serial of the last request that had it */
};

struct names {
	struct name known[FIELD_COUNT]; /* by enum field_id */
	struct name others[NAMES_SETS][NAMES_WAYS];
};

struct names *
names_create(void)
{
	return calloc(1, sizeof(struct names));
}

static void
name_clear(struct name *e)
{
	Py_CLEAR(e->key);
	Py_CLEAR(e->raw);
	Py_CLEAR(e->value);
	Py_CLEAR(e->pair);
	e->stamp = 0;
}

void
names_destroy(struct names *n)
{
	if (n == NULL)
		return;
	for (size_t i = 0; i < FIELD_COUNT; i++)
		name_clear(&n->known[i]);
	for (size_t i = 0; i < NAMES_SETS * NAMES_WAYS; i++)
		name_clear(&n->others[0][0] + i);
	free(n);
}

static PyObject *
latin1(struct str s)
{
	return PyUnicode_DecodeLatin1(s.p, (Py_ssize_t)s.n, NULL);
}

/* Both made by latin1(): one byte per character. */
static bool
same_bytes(PyObject *text, struct str s)
{
	return (size_t)PyUnicode_GET_LENGTH(text) == s.n &&
	       memcmp(PyUnicode_1BYTE_DATA(text), s.p, s.n) == 0;
}

/* "User-Agent" -> "HTTP_USER_AGENT", except for the two CGI names without prefix. */
static PyObject *
environ_key(struct str name)
{
	char stack[256], *buf = stack, *p;
	PyObject *key;

	if (name.n + 5 > sizeof(stack)) {
		buf = PyMem_Malloc(name.n + 5);
		if (buf == NULL)
			return PyErr_NoMemory();
	}
	memcpy(buf, "HTTP_", 5);
	for (size_t i = 0; i < name.n; i++) {
		char ch = name.p[i];

		if (ch >= 'a' && ch <= 'z')
			ch = (char)(ch - 'a' + 'A');
		buf[5 + i] = ch == '-' ? '_' : ch;
	}
	p = buf;
	if ((name.n == 12 && memcmp(buf + 5, "CONTENT_TYPE", 12) == 0) ||
	    (name.n == 14 && memcmp(buf + 5, "CONTENT_LENGTH", 14) == 0))
		p += 5;
	key = latin1((struct str){p, (size_t)(buf + 5 - p) + name.n});
	if (buf != stack)
		PyMem_Free(buf);
	return key;
}

/* Without regard to case: the bit that tells cases apart is set in every byte. */
static uint32_t
hash_name(struct str s)
{
	uint64_t a = 0, b = 0;

	memcpy(&a, s.p, MIN(s.n, 8));
	if (s.n > 8)
		memcpy(&b, s.p + s.n - 8, 8);
	a = (a | 0x2020202020202020u) * 0x9e3779b97f4a7c15u;
	b = (b | 0x2020202020202020u) * 0xc2b2ae3d27d4eb4fu;
	a ^= b ^ s.n;
	return (uint32_t)((a * 0x9e3779b97f4a7c15u) >> 40);
}

static int
name_set_raw(struct name *e, struct str raw)
{
	PyObject *text = latin1(raw);

	if (text == NULL)
		return -1;
	Py_XSETREF(e->raw, text);
	Py_CLEAR(e->pair);
	return 0;
}

static int
name_fill(struct name *e, struct str raw)
{
	PyObject *key = environ_key(raw);

	if (key == NULL)
		return -1;
	PyUnicode_InternInPlace(&key);
	name_clear(e);
	e->key = key;
	return name_set_raw(e, raw);
}

/* The entry of a name the server does not know itself; the oldest of its set makes room.
 * NULL: the name is not kept, or an exception. */
static struct name *
find_other(struct names *n, struct str raw)
{
	struct name *set = n->others[hash_name(raw) % NAMES_SETS], *oldest = set;

	if (raw.n > NAME_MAX_LEN)
		return NULL;
	for (unsigned i = 0; i < NAMES_WAYS; i++) {
		struct name *e = &set[i];

		if (e->key != NULL && (size_t)PyUnicode_GET_LENGTH(e->raw) == raw.n) {
			const char *have = (const char *)PyUnicode_1BYTE_DATA(e->raw);

			if (memcmp(have, raw.p, raw.n) == 0)
				return e;
			if (strncasecmp(have, raw.p, raw.n) == 0)
				return name_set_raw(e, raw) < 0 ? NULL : e;
		}
		if (e->stamp < oldest->stamp)
			oldest = e;
	}
	return name_fill(oldest, raw) < 0 ? NULL : oldest;
}

static struct name *
find_known(struct names *n, uint16_t id, struct str raw)
{
	struct name *e = &n->known[id];

	if (UNLIKELY(e->key == NULL))
		return name_fill(e, raw) < 0 ? NULL : e;
	if (UNLIKELY(!same_bytes(e->raw, raw)))
		return name_set_raw(e, raw) < 0 ? NULL : e;
	return e;
}

/* A field without an entry: made for this one use. */
static PyObject *
pair_uncached(struct str raw, struct str value, PyObject **key)
{
	PyObject *k = environ_key(raw), *v = latin1(value), *name = latin1(raw),
		 *pair = NULL;

	if (k != NULL && v != NULL && name != NULL)
		pair = PyTuple_Pack(2, name, v);
	Py_XDECREF(v);
	Py_XDECREF(name);
	if (pair == NULL)
		Py_CLEAR(k);
	*key = k;
	return pair;
}

/* Makes e's value and pair those of this field. */
static int
name_set_value(struct name *e, struct str value)
{
	PyObject *v;

	if (e->value == NULL || !same_bytes(e->value, value)) {
		v = latin1(value);
		if (v == NULL)
			return -1;
		Py_XSETREF(e->value, v);
		Py_CLEAR(e->pair);
	}
	if (e->pair == NULL)
		e->pair = PyTuple_Pack(2, e->raw, e->value);
	return e->pair == NULL ? -1 : 0;
}

PyObject *
names_pair(struct names *n, const struct field *f, const struct req *r, PyObject **key)
{
	struct str raw = span_str(r->base, f->name), value = span_str(r->base, f->value);
	struct name *e;

	if (UNLIKELY(value.n > VALUE_MAX_LEN))
		return pair_uncached(raw, value, key);
	e = f->id != FIELD_OTHER ? find_known(n, f->id, raw) : find_other(n, raw);
	if (UNLIKELY(e == NULL))
		return PyErr_Occurred() ? NULL : pair_uncached(raw, value, key);
	e->stamp = r->serial;
	if (name_set_value(e, value) < 0)
		return NULL;
	Py_INCREF(e->key);
	*key = e->key;
	Py_INCREF(e->pair);
	return e->pair;
}
