/* Who is billed for a request. SPDX-License-Identifier: MIT */
#pragma once

#include "common/acct.h"

struct req;

/* Its row in the worker's table, by: the server's own business, what the application said,
 * --account-key, nobody. */
uint32_t account_key_row(struct req *r);
/* The name of who is billed as far as it is known now. Its length; 0: nobody, or the
 * server. */
size_t account_key_of(const struct req *r, char to[ACCT_KEY_MAX]);
/* Before the application has said anything: the key by --account-key. Its length; 0:
 * nobody's. */
size_t account_key_rule(const struct req *r, char to[ACCT_KEY_MAX]);
