/* What the plugin's module owns: types, interned strings, the application. Needs the GIL.
 * SPDX-License-Identifier: MIT */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "worker/worker.h"

enum key_id {
#define KEY(member, text) KEY_##member,
#include "worker/py/keys.def"
#undef KEY
	KEY_COUNT
};

/* The types below keep their dead objects for reuse, per application thread. */
enum face_kind {
	FACE_START_RESPONSE,
	FACE_WRITE,
	FACE_INPUT,
	FACE_TRANSFER,
	FACE_EARLY_HINTS,
	FACE_SOCKET,
	FACE_DEADLINE,
	FACE_KINDS
};

struct state {
	PyTypeObject *face_types[FACE_KINDS];          /* owned */
	vectorcallfunc vectorcalls[FACE_KINDS];        /* of the callable kinds */
	PyTypeObject *errors_type, *file_wrapper_type; /* owned */
	PyTypeObject *metric_types[METRIC_KINDS];      /* owned */
	PyObject *chunk_error;     /* owned: class ChunkError(ValueError) */
	PyObject *request_timeout; /* owned: class RequestTimeout(BaseException) */
	PyObject *keys[KEY_COUNT]; /* owned, interned */
	PyObject *boot;            /* owned: the namespace of boot.py */
	PyObject *pool_thread;     /* owned: executor_pool_thread for Python */
	PyObject *send_files;      /* owned: files_send for Python */
	PyObject *set_idle;        /* owned: a callable that does nothing */
	PyObject *app;             /* owned: the WSGI callable */
	PyObject *template;        /* owned: the environ every request starts from */
	PyObject *context;         /* owned: contextvars as loading left them */
	struct worker *worker;     /* borrowed, the process's */
	const struct conf *conf;   /* borrowed, of worker */
	bool eventlet;             /* --compat eventlet */
	char id_prefix[32];        /* of shoal.request_id */
	unsigned id_prefix_len;
};

/* The state of the one module object of this process; NULL before it was imported. */
struct state *state_get(void);

/* Calls a function of boot.py: new reference. Arguments as Py_BuildValue's "(...)". */
PyObject *state_call_boot(struct state *st, const char *name, const char *format, ...);
