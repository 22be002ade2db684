/* The byte classes of HTTP, computed by the compiler, and the loops over them.
 * SPDX-License-Identifier: MIT */
#include "common/http/chars.h"

#define IN(c, lo, hi) ((c) >= (lo) && (c) <= (hi))
#define IS_DIGIT(c) IN(c, '0', '9')
#define IS_ALPHA(c) (IN(c, 'A', 'Z') || IN(c, 'a', 'z'))
#define IS_HEX(c) (IS_DIGIT(c) || IN(c, 'A', 'F') || IN(c, 'a', 'f'))
#define IS_TCHAR_MARK(c)                                                                   \
	((c) == '!' || IN(c, '#', '\'') || (c) == '*' || (c) == '+' || (c) == '-' ||       \
	    (c) == '.' || (c) == '^' || (c) == '_' || (c) == '`' || (c) == '|' ||          \
	    (c) == '~')
#define IS_HOST_MARK(c)                                                                    \
	((c) == '-' || (c) == '.' || (c) == '_' || (c) == '~' || (c) == '!' ||             \
	    (c) == '$' || IN(c, '&', '+') || (c) == ';' || (c) == '=')
#define IS_VALUE(c) ((c) == '\t' || IN(c, ' ', '~') || IN(c, 0x80, 0xff))
#define IS_TARGET(c) (IN(c, '!', '~') && (c) != '#' && (c) != '%' && (c) != '?')

#define CLASS(c)                                                                           \
	(IS_DIGIT(c) || IS_ALPHA(c) || IS_TCHAR_MARK(c) ? CHAR_TOKEN : 0) |                \
	    (IS_VALUE(c) ? CHAR_VALUE : 0) | (IS_TARGET(c) ? CHAR_TARGET : 0) |            \
	    (IS_DIGIT(c) || IS_ALPHA(c) || IS_HOST_MARK(c) ? CHAR_HOST : 0) |              \
	    (IS_HEX(c) ? CHAR_HEX : 0) | (IS_DIGIT(c) ? CHAR_DIGIT : 0) |                  \
	    ((c) == '_' ? CHAR_UNDERSCORE : 0) |                                           \
	    (IS_VALUE(c) && (c) != '"' && (c) != '\\' ? CHAR_QUOTED : 0)
#define CLASS4(c) CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define CLASS16(c) CLASS4(c), CLASS4((c) + 4), CLASS4((c) + 8), CLASS4((c) + 12)
#define CLASS64(c) CLASS16(c), CLASS16((c) + 16), CLASS16((c) + 32), CLASS16((c) + 48)

const uint8_t chars_class[256] = {CLASS64(0), CLASS64(64), CLASS64(128), CLASS64(192)};

/* The high bit of a byte is set if the byte is < 0x20 or 0x7f. HTAB is among those, and a
 * carry may flag a neighbour of one: so a hit is looked at again byte by byte. */
static inline uint64_t
word_suspect(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return ((w - CHARS_EACH(0x20)) | (w + CHARS_EACH(1))) & ~w;
}

static bool
bytes_value_ok(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!chars_is(p[i], CHAR_VALUE))
			return false;
	}
	return true;
}

bool
chars_value_ok(struct str s)
{
	const char *p = s.p;
	uint64_t suspect = 0;

	if (s.n < 8)
		return bytes_value_ok(s.p, s.n);
	for (size_t n = s.n; n > 8; p += 8, n -= 8)
		suspect |= word_suspect(p);
	/* The last eight, some of them for the second time. */
	suspect |= word_suspect(s.p + s.n - 8);
	return LIKELY(!(suspect & CHARS_EACH(0x80))) || bytes_value_ok(s.p, s.n);
}

bool
chars_token_ok(struct str s)
{
	uint8_t seen;

	return s.n > 0 && chars_token(s.p, s.n, &seen) == s.n;
}

bool
chars_equal_nocase(struct str s, struct str lower)
{
	if (s.n != lower.n)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (chars_lower(s.p[i]) != lower.p[i])
			return false;
	}
	return true;
}

bool
chars_list_next(struct str *list, struct str *member)
{
	const char *comma;

	if (!list->p)
		return false;
	comma = list->n ? memchr(list->p, ',', list->n) : NULL;
	if (!comma) {
		*member = chars_trim(*list);
		*list = (struct str){NULL, 0};
		return true;
	}
	*member = chars_trim((struct str){list->p, (size_t)(comma - list->p)});
	list->n -= (size_t)(comma - list->p) + 1;
	list->p = comma + 1;
	return true;
}

bool
chars_decimal(struct str s, uint64_t *value)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint64_t digit = (uint64_t)(unsigned char)s.p[i] - '0';

		if (digit > 9 || v > (INT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return true;
}
