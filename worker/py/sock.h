/* env['gunicorn.socket']: a socket object of the connection, made when it is used.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

NODISCARD int sock_add_type(struct state *st, PyObject *module);
/* A socket.socket over a duplicate of the connection's descriptor: new reference. */
PyObject *sock_make(struct call *c);
/* Lets go of the duplicate: for the next request. */
void sock_reset(PyObject *self);
/* The request is over: closes the duplicate, if one was made. An application that keeps the
 * environ (in a traceback, say) would otherwise keep the client's connection open. */
void sock_end(PyObject *self);
