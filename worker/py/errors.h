/* What goes wrong in the application: its exceptions in the log, and wsgi.errors.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/state.h"

#include "worker/net/app_ops.h"
#include "worker/net/req.h"

/* Folded into the shared segment by the I/O thread. */
extern struct app_counts app_counts;

/* Logs the pending exception with its traceback and clears it. r may be NULL; with it the
 * entry names method and path. `event` is fixed words. */
void errors_log_pending(const char *event, const struct req *r);
/* As errors_log_pending; returns the traceback as a new str reference (NULL: could not be
 * made, no exception set), for the debug page. */
PyObject *errors_log_and_keep(const char *event, const struct req *r);
/* A mistake of the application that raised nothing. */
void errors_log_mistake(const char *event, const struct req *r, const char *detail);
/* The pending exception's last line into e, cleared. Returns -1. */
int errors_to_err(struct err *e, const char *what);
/* The pending exception's whole traceback: new str reference or NULL; cleared. */
PyObject *errors_format_pending(void);

/* The type of wsgi.errors. */
NODISCARD int errors_add_type(struct state *st, PyObject *module);
/* The one object for all requests: new reference. */
PyObject *errors_object(struct state *st);
