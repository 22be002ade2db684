/* Members of structs as members of JSON objects: one table for writing and for reading.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <jansson.h>

enum field_kind {
	FIELD_SIGNED,   /* an integer of 1, 2, 4 or 8 bytes, an enum */
	FIELD_UNSIGNED, /* the same; at most INT64_MAX */
	FIELD_BOOL,
	FIELD_REAL, /* double */
	FIELD_TEXT, /* char[], NUL-terminated */
};

struct json_field {
	const char *key;
	enum field_kind kind;
	size_t offset, size;
	int64_t min, max; /* of integers */
};

#define FIELD_OF(type, member, k, lowest, highest)                                         \
	{                                                                                  \
		.key = #member, .kind = (k), .offset = offsetof(type, member),             \
		.size = sizeof(((type *)0)->member), .min = (lowest), .max = (highest)     \
	}

/* Adds a member for each field of `from` to obj. -1: out of memory. */
NODISCARD int fields_write(
    json_t *obj, const void *from, const struct json_field *fields, size_t n);
/* Every field must be there, of its type and within its bounds; `e` names the one that is
 * not. Members that are no field are left alone. */
NODISCARD int fields_read(
    const json_t *obj, void *to, const struct json_field *fields, size_t n, struct err *e);
