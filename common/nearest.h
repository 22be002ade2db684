/* Which known name was meant by a misspelt one. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

struct nearest {
	struct str name;
	size_t best;
	const char *found; /* NULL: none is near; borrowed of who tried it */
};

struct nearest nearest_begin(struct str name);
/* True when this is the nearest yet. */
bool nearest_try(struct nearest *n, const char *known);
