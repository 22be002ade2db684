/* Edit distance, to tell which known name a misspelt one is near to.
 * SPDX-License-Identifier: MIT */
#include "common/nearest.h"

#include <ctype.h>

#define NAME_MAX_COMPARED 63

/* Levenshtein's distance, one row at a time, `-` and `_` alike. */
static size_t
distance(const char *a, struct str b)
{
	size_t row[NAME_MAX_COMPARED + 1];
	size_t n = MIN(b.n, NAME_MAX_COMPARED);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 1; j <= n; j++) {
			char x = a[i] == '_' ? '-' : a[i];
			char y = b.p[j - 1] == '_' ? '-' : (char)tolower(b.p[j - 1]);
			size_t best = diagonal + (x != y);

			best = MIN(best, MIN(row[j], row[j - 1]) + 1);
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[n];
}

struct nearest
nearest_begin(struct str name)
{
	return (struct nearest){.name = name, .best = MIN(MAX(name.n / 3, 1), 3) + 1};
}

bool
nearest_try(struct nearest *n, const char *known)
{
	size_t d = distance(known, n->name);

	if (d >= n->best)
		return false;
	n->best = d;
	n->found = known;
	return true;
}
