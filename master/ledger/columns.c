/* The columns of common/acct.def as pieces of SQL. SPDX-License-Identifier: MIT */
#include "master/ledger/columns.h"

const char columns_list[] =
#define ACCT(name, ...) ", " #name
#include "common/acct.def"
#undef ACCT
    ;

const char columns_schema[] =
#define ACCT(name, ...) ", " #name " INTEGER NOT NULL DEFAULT 0"
#include "common/acct.def"
#undef ACCT
    ;

const char columns_marks[] =
#define ACCT(name, ...) ", ?"
#include "common/acct.def"
#undef ACCT
    ;

/* Behind something that is there already, so that each can begin with a comma. */
const char columns_add[] = "account=excluded.account"
#define ACCT(name, ...) ", " #name "=" #name "+excluded." #name
#include "common/acct.def"
#undef ACCT
    ;

const char columns_sum[] =
#define ACCT(name, ...) ", sum(" #name ")"
#include "common/acct.def"
#undef ACCT
    ;

const char *const columns_names[ACCT_COLUMNS] = {
#define ACCT(name, ...) [ACCT_##name] = #name,
#include "common/acct.def"
#undef ACCT
};

#define BILLABLE "out_head+out_body+out_framing-out_undelivered"
const char columns_billable[] = BILLABLE;

static const struct {
	const char *name, *expression;
} derived[] = {
    {"billable_bytes", BILLABLE},
    {"in_bytes", "in_head+in_body+in_framing+in_tls"},
    {"out_bytes", "out_head+out_body+out_framing+out_tls"},
    {"undelivered_bytes", "out_undelivered"},
};

const char columns_known[] = "billable_bytes, in_bytes, out_bytes, undelivered_bytes"
#define ACCT(name, ...) ", " #name
#include "common/acct.def"
#undef ACCT
    ;

int64_t
columns_billable_of(const int64_t delta[ACCT_COLUMNS])
{
	return delta[ACCT_out_head] + delta[ACCT_out_body] + delta[ACCT_out_framing] -
	       delta[ACCT_out_undelivered];
}

unsigned
columns_find(const char *name)
{
	unsigned i = 0;

	while (i < ACCT_COLUMNS && strcmp(columns_names[i], name) != 0)
		i++;
	return i;
}

const char *
columns_expression(const char *name)
{
	unsigned i = columns_find(name);

	if (i < ACCT_COLUMNS)
		return columns_names[i];
	for (i = 0; i < ARRAY_LEN(derived); i++)
		if (strcmp(derived[i].name, name) == 0)
			return derived[i].expression;
	return NULL;
}
