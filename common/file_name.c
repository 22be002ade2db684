/* Names of people as names of files. SPDX-License-Identifier: MIT */
#include "common/file_name.h"

void
file_name_make(const char *name, char *to, size_t max)
{
	size_t n = 0;

	for (; *name != '\0' && n + 1 < max; name++) {
		char c = *name;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || strchr("._-", c) != NULL;

		/* A leading dot would hide it, or climb. */
		to[n] = plain && (n > 0 || c != '.') ? c : '_';
		n++;
	}
	to[n] = '\0';
}
