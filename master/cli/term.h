/* The terminal as a screen: raw keys, the alternate buffer, and the way back however the
 * program ends. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <signal.h>

/* Standard input and output become a screen. -1: they are no terminal. */
NODISCARD int term_enter(struct err *e);
/* The terminal is as it was; harmless when it is. Also a signal handler may call it. */
void term_leave(void);
void term_size(unsigned *width, unsigned *height);
/* One write per frame, as far as the terminal takes it at once. */
void term_write(const char *p, size_t n);

enum term_key {
	TERM_NONE = 0, /* nothing there, or nothing we know */
	/* Printable keys are themselves. */
	TERM_UP = 256,
	TERM_DOWN,
	TERM_ESCAPE,
	TERM_ENTER,
	TERM_BACKSPACE,
	TERM_INTERRUPT, /* Ctrl-C, Ctrl-D */
	TERM_CLOSED,    /* the terminal is gone */
};
/* The next key that was pressed; does not wait. */
int term_key(void);
