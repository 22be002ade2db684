/* Text from elsewhere (paths, tracebacks, names) made fit for a terminal: what would move
 * the cursor, change colours or turn the writing direction is shown as an escape.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <limits.h>
#include <stdio.h>

#define TEXT_ALL_COLUMNS UINT_MAX

/* The terminal shows ASCII only: escape everything else, too. For the whole process. */
void text_set_ascii(bool on);
bool text_is_ascii(void);
/* The first character of s (n bytes, n > 0): how many bytes it has, and its value; 1 and
 * UINT32_MAX when the bytes are not UTF-8. */
unsigned text_decode(const char *s, size_t n, uint32_t *cp);
/* Columns it takes on a terminal: 0, 1 or 2; -1: must not be written. */
int text_columns(uint32_t cp);
/* Copies s to buf (NUL-terminated, at most max bytes), escaped; stops before `columns` are
 * exceeded and then ends in an ellipsis. Returns the columns used. */
unsigned text_clean(const char *s, char *buf, size_t max, unsigned columns);
/* Writes s line by line, escaped, each behind `indent`; tabs become spaces. */
void text_put_lines(FILE *f, const char *s, const char *indent);
/* Writes JSON text with what must not reach a terminal as \u escapes: the same value. */
void text_put_json(FILE *f, const char *s, size_t n);
