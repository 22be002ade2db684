/* What a secret looks like. SPDX-License-Identifier: MIT */
#include "master/ctl/mask.h"

#include "common/base.h"

#include <strings.h>

#define STARS "********"

static bool
names_secret(const char *name, size_t n)
{
	static const char *const words[] = {"PASS", "PWD", "SECRET", "TOKEN", "KEY",
	    "CREDENTIAL", "AUTH", "PRIVATE", "DSN", "SALT"};

	for (size_t w = 0; w < ARRAY_LEN(words); w++) {
		size_t len = strlen(words[w]);

		for (size_t i = 0; i + len <= n; i++)
			if (strncasecmp(name + i, words[w], len) == 0)
				return true;
	}
	return false;
}

/* postgres://shop:geheim@db/shop */
static bool
holds_password(const char *value)
{
	const char *at = strstr(value, "://");

	return at != NULL && strchr(at, '@') != NULL;
}

void
mask_assignments(json_t *list)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		const char *text = json_string_value(v);
		const char *eq = text ? strchr(text, '=') : NULL;

		if (eq != NULL &&
		    (names_secret(text, (size_t)(eq - text)) || holds_password(eq + 1)))
			json_array_set_new(
			    list, i, json_sprintf("%.*s=" STARS, (int)(eq - text), text));
	}
}
