/* Sums of accounts beyond the life of a master's image. SPDX-License-Identifier: MIT */
#include "master/accounts.h"

#include "common/acct_index.h"
#include "common/siphash.h"

/* Members of a saved account before its columns. */
enum { SAVED_NAME, SAVED_BILLED, SAVED_COLUMNS };

uint64_t
accounts_billed(struct account *a)
{
	uint64_t sent =
	    a->value[ACCT_out_head] + a->value[ACCT_out_body] + a->value[ACCT_out_framing];
	uint64_t lost = MIN(a->value[ACCT_out_undelivered], sent);

	a->billed = MAX(a->billed, MIN(sent - lost, (uint64_t)INT64_MAX));
	return a->billed;
}

/* ---- Out ---- */

static uint32_t
place_of(const struct accounts *a, const char *name)
{
	uint64_t hash = siphash(a->hash_key, name, strlen(name));
	uint32_t at = 0, i;

	while ((i = acct_index_next(a->index, hash, &at)) != UINT32_MAX)
		if (strcmp(a->v[i].name, name) == 0)
			return i;
	return 0; /* with the others */
}

static void
take_off(uint64_t *sum, uint64_t part)
{
	*sum -= part <= INT64_MAX ? MIN(part, *sum) : 0;
}

/* The next image counts these from the beginning of the table. */
static void
take_off_table(
    const struct accounts *a, struct account *rest, const struct accounts_table *t)
{
	for (uint32_t row = 0; row < t->n_marks; row++) {
		const struct acct_view *mark = &t->marks[row];
		struct account *of = &rest[place_of(a, mark->key)];

		for (int i = 0; i < ACCT_COLUMNS && mark->key[0] != '\0'; i++)
			take_off(&of->value[i], mark->value[i]);
	}
}

static json_t *
account_to_json(const struct account *a)
{
	json_t *v = json_pack("[s, I]", a->name, (json_int_t)a->billed);

	for (int i = 0; v != NULL && i < ACCT_COLUMNS; i++)
		json_array_append_new(v, json_integer((json_int_t)a->value[i]));
	return v;
}

json_t *
accounts_save(const struct accounts *a, const struct accounts_table *const *live, size_t n)
{
	struct account *rest = malloc(a->n * sizeof(*rest));
	uint64_t overflowed = a->overflowed;
	json_t *list = json_array();

	if (rest == NULL) {
		json_decref(list);
		return NULL;
	}
	if (a->n > 0)
		memcpy(rest, a->v, a->n * sizeof(*rest));
	for (size_t i = 0; i < n; i++) {
		take_off_table(a, rest, live[i]);
		take_off(&overflowed, live[i]->overflowed);
	}
	for (uint32_t i = 0; i < a->n; i++)
		json_array_append_new(list, account_to_json(&rest[i]));
	free(rest);
	return json_pack("{s:o, s:I}", "sums", list, "overflowed", (json_int_t)overflowed);
}

/* ---- Back ---- */

static uint64_t
natural(const json_t *v)
{
	return (uint64_t)MAX(json_integer_value(v), (json_int_t)0);
}

void
accounts_restore(struct accounts *a, const json_t *from)
{
	const json_t *list = json_object_get(from, "sums");

	for (size_t k = 0; k < json_array_size(list); k++) {
		const json_t *one = json_array_get(list, k);
		const char *name = json_string_value(json_array_get(one, SAVED_NAME));
		struct account *to;

		if (name == NULL || name[0] == '\0' || strlen(name) > ACCT_KEY_MAX)
			continue;
		to = strcmp(name, ACCOUNTS_OTHER) == 0 ? &a->v[0] : accounts_find(a, name);
		to->billed += natural(json_array_get(one, SAVED_BILLED));
		for (size_t i = 0; i < ACCT_COLUMNS; i++)
			to->value[i] += natural(json_array_get(one, SAVED_COLUMNS + i));
	}
	a->overflowed += natural(json_object_get(from, "overflowed"));
}
