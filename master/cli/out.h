/* What shoalctl prints: tables and fields, for a terminal or for programs.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/cli/value.h"

#include <stdio.h>

enum out_mode {
	OUT_TABLES, /* aligned on a terminal, TSV in a pipe */
	OUT_JSON,   /* the reply as it came */
	OUT_JSONL,  /* one event per line; replies as with OUT_JSON */
	OUT_QUIET,  /* nothing but errors */
};

enum out_colour {
	OUT_PLAIN,
	OUT_BOLD,
	OUT_DIM,
	OUT_RED,
	OUT_GREEN,
	OUT_YELLOW,
	OUT_CYAN,
	OUT_REVERSE,
	OUT_COLOURS
};

struct out {
	FILE *f; /* borrowed */
	enum out_mode mode;
	bool terminal, colour;
	unsigned width; /* of the terminal, columns */
};

struct out_column {
	const char *title; /* for people; programs get the path */
	const char *path;  /* value_at() of a row */
	enum value_format format;
};

/* How a reply is shown: a table of what is in `rows`, else (rows NULL) its fields. */
struct out_view {
	const char *rows;  /* path of an array; "": the reply is the array */
	const char *empty; /* a sentence instead of a table without rows */
	const struct out_column *columns;
	size_t n_columns;
};

/* Looks at standard output and the environment (NO_COLOR, TERM, LANG). */
void out_init(struct out *o, enum out_mode mode);
void out_table(struct out *o, const struct out_view *v, const json_t *rows);
/* Members that are not there are left out. */
void out_fields(struct out *o, const struct out_view *v, const json_t *object);
/* Whatever it is: every member of an object as a field, nested ones with dotted names. */
void out_any(struct out *o, const json_t *v);
/* By its view, NULL: out_any(). */
void out_reply(struct out *o, const struct out_view *v, const json_t *reply);
/* JSON text of n bytes and a newline; escaped for a terminal. */
void out_json(struct out *o, const char *text, size_t n);
/* A value as JSON: indented for people, on one line for programs. */
void out_json_value(struct out *o, const json_t *v, bool indented);
/* A sentence for people and for pipes, not with OUT_JSON, OUT_QUIET. Arguments that come
 * from the server must be cleaned. */
void out_line(struct out *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool out_for_people(const struct out *o); /* OUT_TABLES, or nothing that programs read */
/* "" without colour. */
const char *out_sgr(bool colour, enum out_colour c);
/* Of a state: "ready", "stuck" ... */
enum out_colour out_state_colour(const char *state);
