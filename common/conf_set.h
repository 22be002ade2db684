/* Puts one value into one option: typed, checked, with its origin.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

/* One source of values. A list it mentions replaces what weaker sources said, and grows
 * while the same source goes on. Zero it, then set `origin` before each value. */
struct conf_source {
	const char *origin; /* borrowed; "command line", "shop.json:3:14" */
	bool python;        /* numbers come from Python, where modes are written 0o22 */
	bool seen[CONF_COUNT];
};

/*
 * -1: the text names option, value, origin and what was expected, in one line:
 *     --workers "0" (command line): expected a whole number from 1 to 1024
 */
NODISCARD int conf_set_text(struct conf *c, enum conf_id id, const char *text,
    struct conf_source *src, struct err *e);
/* JSON numbers mean what the same text means (durations: seconds); strings are read as
 * text; null unsets an option without a default. */
NODISCARD int conf_set_json(struct conf *c, enum conf_id id, const json_t *value,
    struct conf_source *src, struct err *e);
