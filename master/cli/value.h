/* Values of replies as people read them: durations, sizes, times, rates.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <jansson.h>

#define VALUE_TEXT_MAX 512

enum value_format {
	VALUE_PLAIN,   /* strings, numbers, truth as they are; lists with commas */
	VALUE_SECONDS, /* "1.8s", "4m05s", "2d03h" */
	VALUE_MICROS,  /* "812us", "3.1ms", "2.2s" */
	VALUE_BYTES,   /* "512", "84.0M" */
	VALUE_TIME,    /* Unix seconds as local time: 2026-11-21T09:30:00 */
	VALUE_RATE,    /* "1834.2/s" */
	VALUE_BYTE_RATE,
	VALUE_STATE, /* a word that is coloured */
	VALUE_YES_NO,
};

/* A member by its path, "last_exit.reason"; NULL: not there, or null. */
const json_t *value_at(const json_t *v, const char *path);
/* The same as a number, a string; `none` when it is not there or something else. */
double value_number(const json_t *v, const char *path, double none);
const char *value_string(const json_t *v, const char *path, const char *none);
/* For people. v may be NULL: "-". The text is not yet escaped. */
const char *value_text(const json_t *v, enum value_format format, char buf[VALUE_TEXT_MAX]);
/* For programs: numbers as they came. v may be NULL: "". */
const char *value_raw(const json_t *v, char buf[VALUE_TEXT_MAX]);
const char *value_seconds(double s, char *buf, size_t max);
const char *value_micros(double us, char *buf, size_t max);
const char *value_bytes(double bytes, char *buf, size_t max);
/* The last of the two for VALUE_TIME; with_date false: 09:30:00. */
const char *value_time(double t, bool with_date, char *buf, size_t max);
/* As text that ends in a newline; indent 0: one line. free() it. */
char *value_dump(const json_t *v, unsigned indent);
