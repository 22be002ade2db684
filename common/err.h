/* A reason for a failure, in words an operator understands, handed up to where it is logged.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

struct err {
	char text[1024]; /* always NUL-terminated; cut, never overrun */
};

/* Both return -1 so that a function can fail and say why in one line; e may be NULL. */
int err_set(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Puts "fmt: " before what is already there. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* As err_set, with ": " and strerror(errno) behind it. */
int err_errno(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
