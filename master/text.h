/* Bytes from a worker or a client as JSON text that no reader can be deceived by.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <jansson.h>

/* Well-formed UTF-8 without control characters stays as it is; of anything else each byte
 * outside printable ASCII becomes \xNN. New reference; NULL without memory. */
json_t *text_to_json(struct str bytes);
/* The same, and line ends and tabs stay. */
json_t *text_lines_to_json(struct str bytes);
/* The bytes of an array that may be NUL-padded. */
struct str text_cut(const char *bytes, size_t max);
