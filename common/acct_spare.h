/* Files that keep room for tables of accounts in a directory that may fill up: made while
 * there is room, taken when there is none. SPDX-License-Identifier: MIT */
#pragma once

#include "common/acct.h"

#define ACCT_SPARES_MAX 16

/* How many there are for tables of so many rows. */
unsigned acct_spare_count(int dir_fd, unsigned rows);
/* One more, all of its blocks allocated; one of another size is replaced. */
NODISCARD int acct_spare_add(int dir_fd, unsigned rows, struct err *e);
/* All of them. */
void acct_spare_drop(int dir_fd);
/* A copy of the table `from` in a file of this name, new or reserved. */
NODISCARD int acct_spare_fill(int dir_fd, int from, const char *name, struct err *e);
/* The descriptor of one that has this size, all zeros, and its name; -1: there is none. */
NODISCARD int acct_spare_open(int dir_fd, size_t size, char name[ACCT_FILE_MAX]);
