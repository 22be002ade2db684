/* Where a ledger's database and the workers' tables of accounts are.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"
#include "common/err.h"

/* The database's path; false: none is configured. */
bool books_find_database(const struct conf *c, char *path, size_t max);
NODISCARD int books_make_absolute(char *path, size_t max, struct err *e);
/* The directory goes with the database, which is one instance's by its lock: names of
 * instances are their applications' by default, and need not differ. */
NODISCARD int books_name_dir(const char *database, char *dir, size_t max, struct err *e);
/* Makes the directory and locks it: its descriptor; -1: e. *without: it cannot be had at
 * all here, so that tables have to do without. */
NODISCARD int books_make_dir(const char *dir, bool *without, struct err *e);
