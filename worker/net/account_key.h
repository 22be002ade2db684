/* Who is billed for a request. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

struct req;

/* Its row in the worker's table, by: the server's own business, what the application said,
 * --account-key, nobody. */
uint32_t account_key_row(struct req *r);
