/* Application threads: where requests wait for one, sleep and wake.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/sleeper.h"
#include "worker/py/state.h"
#include "worker/py/times.h"

#include "worker/net/app_ops.h"
#include "worker/net/req.h"

#include <stdatomic.h>

struct call;
struct names;
struct paths;
struct peers;
struct shapes;

#define FACES_KEPT 32

struct app_thread {
	uint32_t index;
	struct state *st; /* borrowed */
	struct sleeper sleeper;
	struct times times;
	_Atomic(struct req *)
	    inbox;               /* resumed here: pushed by the I/O thread, newest first */
	struct names *names;     /* owned: header name and value objects */
	struct paths *paths;     /* owned: the same for request targets */
	struct shapes *shapes;   /* owned: environs to copy */
	struct peers *peers;     /* owned: REMOTE_ADDR and REMOTE_PORT objects */
	struct call *free_calls; /* owned */
	PyObject *faces[FACE_KINDS][FACES_KEPT]; /* owned, dead */
	unsigned n_faces[FACE_KINDS];
	bool green;        /* runs a hub; requests are greenlets */
	bool capitalize;   /* --capitalize-headers, --compat eventlet */
	uint64_t now_ns;   /* clock at the end of the last request */
	int64_t date_unix; /* of date */
	char date[29];
	unsigned long ident;  /* of its PyThread, before its first request */
	struct call *running; /* with the GIL: whose application code it is in */
	bool async_set; /* with the GIL: an exception was set and perhaps not raised */
	char *errors;   /* owned: an unfinished line of wsgi.errors */
	size_t n_errors;
};

unsigned executor_thread_count(void);
struct app_thread *executor_thread(unsigned index);
/* The calling thread's, NULL on threads of the application's own. */
struct app_thread *app_thread_current(void);

extern const struct app_ops executor_ops;

/* A method of the module: the body of pool thread number `index`. */
PyObject *executor_pool_thread(PyObject *module, PyObject *index);

/* For the loops: the next request to start or end, NULL: none. */
struct req *executor_take(void);
void executor_run_one(struct app_thread *t, struct req *r);
/* Something to take, to resume or to drop, or the end has come. arg: struct app_thread. */
bool executor_has_work(const void *arg);
/* Stopping, and the last request has ended. */
bool executor_all_done(void);
uint64_t executor_clock_ns(void);

/* One more (n = 1) or one less (n = -1) request is between its start and its end. */
void executor_count(int n);

/* Runs requests until the worker stops: in threads, or in greenlets. The calling thread is
 * thread 0; the others are started here and have ended on return. With the GIL. -1: err. */
NODISCARD int executor_run(struct state *st, struct err *e);
