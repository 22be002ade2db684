/* An event in one line, for people. SPDX-License-Identifier: MIT */
#include "master/cli/event_text.h"

#include "master/cli/value.h"

#include <stdio.h>

#define TEXT_MOST 160
#define LIST_MOST 8

/* In every job's events, and not what one looks for in a line. */
static bool
is_noise(const char *key, const json_t *v)
{
	static const char *const keys[] = {"started", "ended", "token", "steps", "epoch"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return json_is_null(v) || json_is_object(v) || json_string_length(v) > TEXT_MOST ||
	       json_array_size(v) > LIST_MOST;
}

static size_t
add_one(char *buf, size_t n, size_t max, const char *key, const json_t *v)
{
	char text[VALUE_TEXT_MAX];
	bool quote;
	int len;

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
	json_object_foreach((json_t *)data, key, v)
	{
		if (!is_noise(key, v))
			n = add_one(buf, n, max, key, v);
	}
	if (value_at(data, "progress.total") != NULL)
		snprintf(buf + n, max - n, "%s%.0f/%.0f", n ? " " : "",
		    value_number(data, "progress.done", 0),
		    value_number(data, "progress.total", 0));
	return buf;
}
