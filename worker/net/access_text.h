/* Bounded, escaped text for log records: plain byte copies, no formatter.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#define ACCESS_FIELD_MAX 2048 /* bytes of one value from outside; longer ones are cut */

/* Fills up to end and no further; what does not fit is cut. */
struct text {
	char *p, *end;
	bool json; /* JSON string escapes instead of \xHH */
};

static inline void
text_put(struct text *t, const char *p, size_t n)
{
	size_t room = (size_t)(t->end - t->p);

	if (UNLIKELY(n > room))
		n = room;
	/* Most pieces are a few bytes: a call of memcpy costs more than they do. */
	if (n <= 4)
		for (size_t i = 0; i < n; i++)
			t->p[i] = p[i];
	else
		memcpy(t->p, p, n);
	t->p += n;
}

static inline void
text_put_char(struct text *t, char c)
{
	if (LIKELY(t->p < t->end))
		*t->p++ = c;
}

/* Bytes from outside (http.md 45): nothing in them can end the field, the line or the
 * encoding. */
void text_put_escaped(struct text *t, struct str s);
void text_put_number(struct text *t, uint64_t n);
/* Exactly `digits` digits, with leading zeros. */
void text_put_padded(struct text *t, uint64_t n, unsigned digits);
