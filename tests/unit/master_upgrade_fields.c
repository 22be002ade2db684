/* The tables of what an upgrade in place carries over: every member goes there and back,
 * and comes back only within its bounds. SPDX-License-Identifier: MIT */
#include "master/upgrade_fields.h"

#include "master/ctl/ctl_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TABLE(type, v)                                                                     \
	{                                                                                  \
#type, v, ARRAY_LEN(v), sizeof(type)                                       \
	}

static const struct {
	const char *name;
	const struct json_field *fields;
	size_t n, size;
} tables[] = {
    TABLE(struct proc, upgrade_proc_fields),
    TABLE(struct slot, upgrade_slot_fields),
    TABLE(struct mold, upgrade_mold_fields),
    TABLE(struct generation, upgrade_generation_fields),
    TABLE(struct listener, upgrade_listener_fields),
    TABLE(struct ctl_path, ctl_path_fields),
    TABLE(struct master, upgrade_instance_fields),
};

static union {
	struct master any; /* the largest */
	char bytes[sizeof(struct master)];
} from, to;

enum { LOWEST, HIGHEST, BETWEEN, VALUES };

static int64_t
number(const struct json_field *f, int which)
{
	return which == LOWEST    ? f->min
	       : which == HIGHEST ? f->max
				  : f->min / 2 + f->max / 2;
}

static void
fill(const struct json_field *f, char *at, int which)
{
	int64_t v = number(f, which);
	double real = which + 0.1;

	if (f->kind == FIELD_BOOL)
		*(bool *)at = which != LOWEST;
	else if (f->kind == FIELD_REAL)
		memcpy(at, &real, sizeof(real));
	else if (f->kind == FIELD_TEXT)
		memset(at, 'a' + which, which == LOWEST ? 0 : f->size - 1);
	else
		memcpy(at, &v, f->size);
}

static json_t *
through_text(json_t *v)
{
	char *text = json_dumps(v, JSON_COMPACT);
	json_t *back = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(back);
	json_decref(v);
	free(text);
	return back;
}

/* The table's members at these values, as JSON. */
static json_t *
write_table(size_t t, int which)
{
	json_t *v = json_object();

	memset(&from, 0, sizeof(from));
	for (size_t i = 0; i < tables[t].n; i++)
		fill(&tables[t].fields[i], from.bytes + tables[t].fields[i].offset, which);
	assert_int_equal(fields_write(v, &from, tables[t].fields, tables[t].n), 0);
	assert_int_equal(json_object_size(v), tables[t].n);
	return through_text(v);
}

static void
test_there_and_back(void **state)
{
	struct err e;

	(void)state;
	for (size_t t = 0; t < ARRAY_LEN(tables); t++)
		for (int which = 0; which < VALUES; which++) {
			json_t *v = write_table(t, which);

			assert_in_range(tables[t].size, 1, sizeof(to));
			memset(&to, 0, sizeof(to));
			if (fields_read(v, &to, tables[t].fields, tables[t].n, &e) < 0)
				fail_msg("%s: %s", tables[t].name, e.text);
			if (memcmp(&from, &to, sizeof(from)) != 0)
				fail_msg("%s, values %d", tables[t].name, which);
			json_decref(v);
		}
}

static void
refuse(size_t t, const struct json_field *f, json_t *value)
{
	json_t *v = write_table(t, BETWEEN);
	struct err e = {""};

	if (value != NULL)
		json_object_set_new(v, f->key, value);
	else
		json_object_del(v, f->key);
	if (fields_read(v, &to, tables[t].fields, tables[t].n, &e) == 0)
		fail_msg("%s.%s", tables[t].name, f->key);
	assert_int_equal(strncmp(e.text, f->key, strlen(f->key)), 0);
	json_decref(v);
}

static void
test_only_within_bounds(void **state)
{
	static char text[8192];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	for (size_t t = 0; t < ARRAY_LEN(tables); t++)
		for (size_t i = 0; i < tables[t].n; i++) {
			const struct json_field *f = &tables[t].fields[i];
			bool is_number =
			    f->kind == FIELD_SIGNED || f->kind == FIELD_UNSIGNED;

			refuse(t, f, NULL);
			refuse(t, f, json_object());
			refuse(
			    t, f, f->kind == FIELD_TEXT ? json_true() : json_string("1"));
			if (f->kind == FIELD_TEXT)
				refuse(t, f, json_stringn(text, f->size));
			if (f->kind == FIELD_TEXT)
				refuse(t, f, json_string(text));
			if (is_number)
				refuse(t, f, json_real(1.5));
			if (is_number && f->max < INT64_MAX)
				refuse(t, f, json_integer(f->max + 1));
			if (is_number && f->min > INT64_MIN)
				refuse(t, f, json_integer(f->min - 1));
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_only_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
