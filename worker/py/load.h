/* Loads the application as APP says. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/state.h"

/* boot.py's names into st->boot. -1: exception. */
NODISCARD int load_boot(struct state *st);
/* st->app, st->context, st->template. -1: exception. */
NODISCARD int load_app(struct state *st);
/* A new list of str. NULL: exception. */
PyObject *load_list(const struct strlist *list);
/* str or None: new reference. */
PyObject *load_text(const char *s);
/* What the operator should read about the pending exception: new str or NULL; cleared. */
PyObject *load_describe_failure(struct state *st);
