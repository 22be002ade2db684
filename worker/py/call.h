/* One request inside Python: from the environ to the post hooks. SPDX-License-Identifier:
 * MIT */
#pragma once

#include "worker/py/executor.h"

#include "common/http/resp.h"

/* What an application thread waits for in the middle of a request. */
enum call_wait { CALL_BODY, CALL_ROOM, CALL_WAITS, CALL_OVERDUE = CALL_WAITS };

struct green_wait;

/* What the I/O thread does when it calls pull(). */
enum pull_mode { PULL_NONE, PULL_RESUME, PULL_WAKE };

struct call {
	struct req *req;             /* NULL once it was given back */
	struct app_thread *thread;   /* borrowed: the one that runs it */
	PyObject *env;               /* owned */
	PyObject *result;            /* owned: what the application returned */
	PyObject *iter;              /* owned: over result, NULL for a list or tuple */
	PyObject *account;           /* owned: shoal.account when the head was made */
	PyObject *context;           /* owned: a contextvars.Context */
	PyObject *faces[FACE_KINDS]; /* owned: objects in env that look at this call */
	Py_ssize_t transfer_refs;    /* of faces[FACE_TRANSFER] while only we know it */
	PyObject *lists[2];          /* owned: the hook lists env began with */
	PyObject *greenlet;          /* owned: the one it runs in, NULL with threads */
	bool head_request;
	bool in_app;       /* with the GIL: code of the application runs, or waits */
	bool ending;       /* hooks wait for the outcome */
	bool hooked;       /* the post hooks have run */
	bool begun;        /* start_response was accepted */
	bool head_out;     /* the head is on its way */
	bool cut_logged;   /* a body over Content-Length was reported */
	bool input_used;   /* the application asked for the body */
	bool input_broken; /* wsgi.input told the application that the client is gone */
	unsigned finish_flags;
	struct resp resp;
	struct resp_buf head;
	uint64_t since_ns;  /* the application runs since then */
	uint64_t body_left; /* of Content-Length */
	size_t min_chunk;   /* hold back less than this; 0: nothing */
	struct resp_buf held;
	_Atomic uint64_t doomed; /* serial of the request to be interrupted; 0: none */
	_Atomic int pull;        /* enum pull_mode */
	_Atomic(struct sleeper *) waiter; /* who waits for body bytes or room */
	struct sleeper foreign;           /* for a waiter that is no application thread */
	struct green_wait *green[CALL_WAITS]; /* borrowed: greenlets that wait */
	_Atomic unsigned news;                /* bits by enum call_wait; see green.h */
	struct call *news_next;
	struct call *next_free;
	char head_mem[1536];
};

/* All with the GIL, on an application thread. Afterwards r may be gone. */
void call_start(struct app_thread *t, struct req *r);
void call_resume(struct call *c);
void call_end(struct call *c);

/* Tells the I/O thread what is wanted. */
void call_ask(struct call *c, enum call_wait what);
/* Asks and waits for the I/O thread, which wakes c->waiter or the greenlet. May return
 * early. -1 with an exception: a signal handler raised, something was thrown into the
 * greenlet, or the request ended meanwhile. `face` keeps the call alive. */
struct face;
NODISCARD int call_wait(struct face *face, enum call_wait what);
/* The same in the request's own greenlet, between two items of its body. */
NODISCARD int call_wait_green(struct call *c);

/* Cuts the ties between env's objects and the call; before the request is given back. */
void call_detach(struct call *c);
