/* Dumps of every thread's Python stack, also while C code holds the GIL.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/state.h"

/* Before the application is loaded, with the GIL: from here on a fatal signal leaves every
 * thread's stack in the trace file. A mold's workers inherit it with the file's number. -1
 * with a Python exception. */
NODISCARD int trace_crashes(struct state *st);
/* Once per serving process, on the main thread with the GIL. on_asked runs in a signal
 * handler when the master wants a dump. */
NODISCARD int trace_open(struct state *st, void (*on_asked)(void), struct err *e);
/* Before the segment goes: no more dumps for the master. */
void trace_close(void);

/* What trace_own() was asked to do first, with the GIL, if it can be had. */
typedef void trace_prepare_fn(void *arg);

/* All on the watchdog's thread, which never has the GIL. */
/* The dump for the master. */
void trace_answer(void);
/* A dump for ourselves, cut at cap; returns its length. */
size_t trace_own(trace_prepare_fn *prepare, void *arg, char *buf, size_t cap);
/* The part of a dump that is about one thread (its PyThread ident). */
struct str trace_of_thread(struct str dump, unsigned long ident);

/* Has the thread that can wait for the GIL call this with it, soon or when C code lets go
 * of it. Calls are merged. */
void trace_call_with_gil(void (*call)(void));
