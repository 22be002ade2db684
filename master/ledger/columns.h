/* The columns of common/acct.def as pieces of SQL. SPDX-License-Identifier: MIT */
#pragma once

#include "common/acct.h"

/* ", requests, aborted, ..." */
extern const char columns_list[];
/* ", requests INTEGER NOT NULL DEFAULT 0, ..." */
extern const char columns_schema[];
/* ", ?, ?, ..." */
extern const char columns_marks[];
/* "requests=requests+excluded.requests, ..." */
extern const char columns_add[];
/* ", sum(requests), ..." */
extern const char columns_sum[];
extern const char *const columns_names[ACCT_COLUMNS];

/* What a customer pays for: in SQL, of one row; and of a delta. */
extern const char columns_billable[];
int64_t columns_billable_of(const int64_t delta[ACCT_COLUMNS]);
/* A column of a query, by its name: an expression over one row, NULL: there is none. Beside
 * those of acct.def: billable_bytes, in_bytes, out_bytes, undelivered_bytes. */
const char *columns_expression(const char *name);
/* The number of a counted column; ACCT_COLUMNS: it is none. */
unsigned columns_find(const char *name);
/* All names columns_expression() knows, with commas. */
extern const char columns_known[];
