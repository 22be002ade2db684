/* Lists of owned strings: the repeatable options, notices.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

/* Copies `s`; -1 without memory. */
NODISCARD int strlist_add(struct strlist *l, const char *s);
/* Adds a formatted sentence; nothing is added without memory. */
void strlist_addf(struct strlist *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool strlist_has(const struct strlist *l, const char *s);
void strlist_finish(struct strlist *l);
