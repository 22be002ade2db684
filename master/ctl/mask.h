/* Hides secrets in what is shown of the configuration. SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>

/* In an array of strings, each "NAME=value" whose name looks like a secret's, or whose
 * value is a URL with a password, becomes "NAME=********". */
void mask_assignments(json_t *list);
