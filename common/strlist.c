/* Lists of owned strings: grown one by one, freed at once.
 * SPDX-License-Identifier: MIT */
#include "common/strlist.h"

#include <stdarg.h>
#include <stdio.h>

static int
append_owned(struct strlist *l, char *s)
{
	char **v = s ? realloc(l->v, (l->n + 1) * sizeof(*v)) : NULL;

	if (v == NULL) {
		free(s);
		return -1;
	}
	l->v = v;
	l->v[l->n++] = s;
	return 0;
}

int
strlist_add(struct strlist *l, const char *s)
{
	return append_owned(l, strdup(s));
}

void
strlist_addf(struct strlist *l, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	if (append_owned(l, s) != 0)
		return;
}

bool
strlist_has(const struct strlist *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], s) == 0)
			return true;
	return false;
}

void
strlist_finish(struct strlist *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct strlist){0};
}
