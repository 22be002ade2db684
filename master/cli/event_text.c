/* An event in one line, for people. SPDX-License-Identifier: MIT */
#include "master/cli/event_text.h"

#include "master/cli/value.h"

#include <stdio.h>

#define TEXT_MOST 160

static size_t
add_one(char *buf, size_t n, size_t max, const char *key, const json_t *v)
{
	char text[VALUE_TEXT_MAX];
	bool quote;
	int len;

	if (json_is_null(v) || json_string_length(v) > TEXT_MOST || json_array_size(v) > 8)
		return n;
	value_raw(v, text);
	quote = *text == '\0' || (json_is_string(v) && strchr(text, ' ') != NULL);
	len = snprintf(buf + n, max - n, "%s%s=%s%s%s", n ? " " : "", key,
	    quote ? "\"" : "", text, quote ? "\"" : "");
	return MIN(n + (size_t)MAX(len, 0), max - 1);
}

const char *
event_details(const json_t *data, char *buf, size_t max)
{
	json_t *v;
	const char *key;
	size_t n = 0;

	buf[0] = '\0';
	json_object_foreach((json_t *)data, key, v) n = add_one(buf, n, max, key, v);
	return buf;
}
