/* Query strings as parameters of the control protocol. SPDX-License-Identifier: MIT */
#pragma once

#include "common/ctl_table.h"

#include <jansson.h>

/* "a=1&b=x%20y" as an object, each value of the type the method's parameter has (what does
 * not look like it stays text: the master says what is wrong). Lists: values separated by
 * commas. NULL: bad percent signs, control characters, a name twice, or no memory. */
json_t *query_params(const struct ctl_method *method, struct str query);
/* One value, as query_params makes it. */
json_t *query_value(const struct ctl_method *method, const char *name, struct str text);
