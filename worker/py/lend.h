/* What is lent to the output queue, bytes objects and descriptors, and its way back.
 * SPDX-License-Identifier: MIT */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "common/base.h"

/* Given to req_out_borrow() or req_out_file() as the owner; the I/O thread returns it. */
struct lend;

/* Takes a new reference to obj; NULL (no exception set) without memory. */
struct lend *lend_bytes(PyObject *obj);
/* Owns fd from now on (not on failure). */
struct lend *lend_fd(int fd);
/* Not lent after all. With the GIL. */
void lend_cancel(struct lend *l);

/* I/O thread: the output is through with it. True: a reference is left to be dropped. */
bool lend_return(struct lend *l);
/* Any thread: whether there are such references. */
bool lend_any_returned(void);
/* With the GIL. */
void lend_drop_returned(void);
