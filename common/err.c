/* A reason for a failure: formatting, wrapping and errno.
 * SPDX-License-Identifier: MIT */
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Puts ": tail" behind the first n bytes; what does not fit is cut. */
static void
append(struct err *e, int n, const char *tail)
{
	size_t at = (size_t)n, len = strlen(tail);

	if (n < 0 || at + 2 >= sizeof(e->text))
		return;
	memcpy(e->text + at, ": ", 2);
	at += 2;
	len = MIN(len, sizeof(e->text) - 1 - at);
	memcpy(e->text + at, tail, len);
	e->text[at + len] = '\0';
}

int
err_set(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -1;
}

int
err_wrap(struct err *e, const char *fmt, ...)
{
	char inner[sizeof(e->text)];
	va_list ap;
	int n;

	if (e == NULL)
		return -1;
	memcpy(inner, e->text, sizeof(inner));
	va_start(ap, fmt);
	n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	append(e, n, inner);
	return -1;
}

int
err_errno(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	int n;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	append(e, n, strerror(saved));
	return -1;
}
