/* Reads the words behind a verb by its table into the parameters of the request.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"
#include "master/cli/verb.h"

struct args {
	const struct verb *verb; /* borrowed; NULL: only flags stood there */
	json_t *params;          /* owned object: what is sent */
	json_t *local;           /* owned object: flags for shoalctl, by name (or letter) */
};

/* argv: everything behind the program's name. -1: usage, e says what. */
NODISCARD int args_parse(struct args *a, char *const *argv, size_t argc, struct err *e);
void args_finish(struct args *a);
/* Of a flag without param: NULL when not given. */
const json_t *args_local(const struct args *a, const char *name);
bool args_has(const struct args *a, const char *name);
