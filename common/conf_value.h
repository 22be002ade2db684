/* Values as text: numbers, durations, sizes, modes and truth, parsed and printed.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#define CONF_VALUE_TEXT_MAX 48

/* All parsers take the whole text or return -1; none accepts surrounding space. */
NODISCARD int conf_value_int(const char *s, int64_t *out);
/* Milliseconds: "30" and "0.5" are seconds, "1h30m", "250ms", "2d"; units once, falling. */
NODISCARD int conf_value_duration(const char *s, int64_t *out);
/* Bytes: "4096", "64k", "1MiB", "1.5G"; every unit is a power of 1024. */
NODISCARD int conf_value_size(const char *s, int64_t *out);
/* A file mode: octal with a leading 0 or 0o ("022", "0o640"), or 0. */
NODISCARD int conf_value_mode(const char *s, int64_t *out);
/* true/yes/on/1, false/no/off/0. */
NODISCARD int conf_value_bool(const char *s, bool *out);

/* The shortest exact text that the parser reads back; buf holds CONF_VALUE_TEXT_MAX. */
const char *conf_value_duration_text(int64_t ms, char *buf);
const char *conf_value_size_text(int64_t bytes, char *buf);
const char *conf_value_mode_text(int64_t mode, char *buf);
