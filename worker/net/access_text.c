/* Bounded, escaped text for log records. SPDX-License-Identifier: MIT */
#include "worker/net/access_text.h"

typedef unsigned char bytes16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

/* Whether one of 16 bytes needs an escape: below 0x20, `"`, `\`, DEL or above. */
static inline bool
any_special(bytes16 v)
{
	words2 bad = (words2)((v < 0x20) | (v >= 0x7f) | (v == '"') | (v == '\\'));

	return (bad[0] | bad[1]) != 0;
}

static inline bool
byte_is_special(unsigned char c)
{
	return c < 0x20 || c >= 0x7f || c == '"' || c == '\\';
}

static void
put_special(struct text *t, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char esc[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
	size_t n = 6, skip = 0;

	if (t->json && (c == '"' || c == '\\')) {
		esc[1] = (char)c;
		n = 2;
	} else if (!t->json) {
		esc[2] = '\\';
		esc[3] = 'x';
		skip = 2;
		n = 4;
	}
	/* Half an escape would be a different text. */
	if ((size_t)(t->end - t->p) < n)
		t->end = t->p;
	text_put(t, esc + skip, n);
}

/* Most values need no escape and fit: copied 16 bytes at a time as they are looked at, the
 * last ones overlapping those before. */
static bool
put_clean(struct text *t, const char *p, size_t n)
{
	bytes16 v;

	if (n < sizeof(v) || n > (size_t)(t->end - t->p))
		return false;
	for (size_t i = 0; i + sizeof(v) <= n; i += sizeof(v)) {
		memcpy(&v, p + i, sizeof(v));
		if (any_special(v))
			return false;
		memcpy(t->p + i, &v, sizeof(v));
	}
	memcpy(&v, p + n - sizeof(v), sizeof(v));
	if (any_special(v))
		return false;
	memcpy(t->p + n - sizeof(v), &v, sizeof(v));
	t->p += n;
	return true;
}

void
text_put_escaped(struct text *t, struct str s)
{
	size_t n = MIN(s.n, (size_t)ACCESS_FIELD_MAX);

	if (LIKELY(put_clean(t, s.p, n)))
		n = 0;
	for (size_t i = 0; i < n; i++) {
		if (UNLIKELY(byte_is_special((unsigned char)s.p[i])))
			put_special(t, (unsigned char)s.p[i]);
		else
			text_put_char(t, s.p[i]);
	}
	if (UNLIKELY(s.n > ACCESS_FIELD_MAX))
		text_put(t, "...", 3);
}

void
text_put_number(struct text *t, uint64_t n)
{
	char buf[20], *p = buf + sizeof(buf);

	if (n < 10) {
		text_put_char(t, (char)('0' + n));
		return;
	}
	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	if (UNLIKELY((size_t)(t->end - t->p) < sizeof(buf))) {
		text_put(t, p, (size_t)(buf + sizeof(buf) - p));
		return;
	}
	while (p < buf + sizeof(buf))
		*t->p++ = *p++;
}

void
text_put_padded(struct text *t, uint64_t n, unsigned digits)
{
	char buf[20];

	for (unsigned i = digits; i-- > 0; n /= 10)
		buf[i] = (char)('0' + n % 10);
	text_put(t, buf, digits);
}
