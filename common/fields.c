/* Tables of struct members, written to JSON and read back with every bound checked.
 * SPDX-License-Identifier: MIT */
#include "common/fields.h"

static int64_t
load(const struct json_field *f, const char *at)
{
	unsigned unused = 64 - 8 * (unsigned)f->size;
	uint64_t v = 0;

	memcpy(&v, at, f->size);
	if (f->kind == FIELD_SIGNED)
		return (int64_t)(v << unused) >> unused; /* the sign of the short one */
	return (int64_t)MIN(v, (uint64_t)INT64_MAX);
}

/* The host is little-endian or the size is 8: the low bytes come first on every CPU the
 * worker's shared segments are built for, and this says so. */
_Static_assert(
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fields are stored low byte first");

static json_t *
write_one(const struct json_field *f, const char *at)
{
	double real;

	switch (f->kind) {
	case FIELD_BOOL:
		return json_boolean(*(const bool *)at);
	case FIELD_REAL:
		memcpy(&real, at, sizeof(real));
		return json_real(real);
	case FIELD_TEXT:
		return json_string(at);
	default:
		return json_integer(load(f, at));
	}
}

int
fields_write(json_t *obj, const void *from, const struct json_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (json_object_set_new(obj, fields[i].key,
			write_one(&fields[i], (const char *)from + fields[i].offset)) < 0)
			return -1;
	return 0;
}

static int
read_integer(const struct json_field *f, const json_t *v, char *to, struct err *e)
{
	int64_t number = json_integer_value(v);

	if (!json_is_integer(v) || number < f->min || number > f->max)
		return err_set(e, "%s: expected a number from %lld to %lld", f->key,
		    (long long)f->min, (long long)f->max);
	memcpy(to, &number, f->size);
	return 0;
}

static int
read_text(const struct json_field *f, const json_t *v, char *to, struct err *e)
{
	if (!json_is_string(v) || json_string_length(v) >= f->size)
		return err_set(
		    e, "%s: expected a string of less than %zu bytes", f->key, f->size);
	memcpy(to, json_string_value(v), json_string_length(v) + 1);
	return 0;
}

static int
read_one(const struct json_field *f, const json_t *v, char *to, struct err *e)
{
	double real = json_number_value(v);

	switch (f->kind) {
	case FIELD_BOOL:
		if (!json_is_boolean(v))
			return err_set(e, "%s: expected true or false", f->key);
		*(bool *)to = json_is_true(v);
		return 0;
	case FIELD_REAL:
		if (!json_is_number(v))
			return err_set(e, "%s: expected a number", f->key);
		memcpy(to, &real, sizeof(real));
		return 0;
	case FIELD_TEXT:
		return read_text(f, v, to, e);
	default:
		return read_integer(f, v, to, e);
	}
}

int
fields_read(
    const json_t *obj, void *to, const struct json_field *fields, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (read_one(&fields[i], json_object_get(obj, fields[i].key),
			(char *)to + fields[i].offset, e) < 0)
			return -1;
	return 0;
}
