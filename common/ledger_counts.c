/* Counters of a ledger's life as JSON. SPDX-License-Identifier: MIT */
#include "common/ledger_counts.h"

static const char *const names[LEDGER_COUNTS] = {
#define LEDGER_COUNT(name) #name,
#include "common/ledger_counts.def"
#undef LEDGER_COUNT
};

json_t *
ledger_counts_to_json(const struct ledger_counts *c)
{
	json_t *v = json_object(), *classes = json_array();

	for (size_t i = 0; i < LEDGER_COUNTS; i++)
		json_object_set_new(v, names[i], json_integer((json_int_t)c->count[i]));
	for (size_t i = 0; i < HIST_CLASSES; i++)
		json_array_append_new(classes, json_integer((json_int_t)c->classes[i]));
	json_object_set_new(v, "classes", classes);
	return v;
}

static void
read_one(uint64_t *to, const json_t *from)
{
	json_int_t v = json_integer_value(from);

	if (v > 0)
		*to = MAX(*to, (uint64_t)v);
}

void
ledger_counts_read(struct ledger_counts *c, const json_t *from)
{
	const json_t *classes = json_object_get(from, "classes");

	for (size_t i = 0; i < LEDGER_COUNTS; i++)
		read_one(&c->count[i], json_object_get(from, names[i]));
	for (size_t i = 0; i < HIST_CLASSES; i++)
		read_one(&c->classes[i], json_array_get(classes, i));
}

static void
add_all(uint64_t *to, const uint64_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = MIN(to[i] + from[i], (uint64_t)INT64_MAX);
}

void
ledger_counts_add(struct ledger_counts *to, const struct ledger_counts *from)
{
	add_all(to->count, from->count, LEDGER_COUNTS);
	add_all(to->classes, from->classes, HIST_CLASSES);
}
