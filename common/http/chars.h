/* Byte classes of HTTP grammar in one table, and a fast test of whole field values.
 * SPDX-License-Identifier: MIT */
#pragma once

#include <endian.h>

#include "common/base.h"

enum char_class {
	CHAR_TOKEN = 0x01,  /* tchar, RFC 9110 5.6.2 */
	CHAR_VALUE = 0x02,  /* field value: HTAB, SP, VCHAR, obs-text */
	CHAR_TARGET = 0x04, /* request target without the special `%`, `?` and `#` */
	CHAR_HOST = 0x08,   /* reg-name without `%`; without `,`, which would make a list */
	CHAR_HEX = 0x10,
	CHAR_DIGIT = 0x20,
	CHAR_UNDERSCORE = 0x40,
	CHAR_QUOTED = 0x80, /* qdtext: inside a quoted string, without `"` and `\` */
};

extern const uint8_t chars_class[256];

static inline bool
chars_is(char c, uint8_t class)
{
	return (chars_class[(unsigned char)c] & class) != 0;
}

/* 0-15; only for a byte of CHAR_HEX. */
static inline unsigned
chars_hex(char c)
{
	return ((unsigned)c & 0xf) + (c > '9' ? 9 : 0);
}

/* ASCII only: bytes with the high bit set stay as they are. */
static inline char
chars_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Eight bytes of b each. */
#define CHARS_EACH(b) (0x0101010101010101u * (uint64_t)(b))

/* How many bytes p[0..n) starts with are letters or `-`, as most field names are
 * throughout. Only whole groups of eight are looked at: it may be fewer than there are. */
static inline size_t
chars_letters(const char *p, size_t n)
{
	size_t i = 0;

	for (; n - i >= 8; i += 8) {
		uint64_t w, seven, letter, dash, stop;

		memcpy(&w, p + i, sizeof(w));
		w = le64toh(w);
		/* Per byte, the high bit says: letter; not dash; neither, or not ASCII. */
		seven = (w | CHARS_EACH(0x20)) & CHARS_EACH(0x7f);
		letter =
		    (seven + CHARS_EACH(0x80 - 'a')) & ~(seven + CHARS_EACH(0x7f - 'z'));
		dash = (w & CHARS_EACH(0x7f)) ^ CHARS_EACH('-');
		stop = ((~letter & (dash + CHARS_EACH(0x7f))) | w) & CHARS_EACH(0x80);
		if (stop)
			return i + (size_t)__builtin_ctzll(stop) / 8;
	}
	return i;
}

/* Length of the token that p[0..n) starts with. *seen: all classes of its bytes, but for
 * the letters and `-` in front. */
static inline size_t
chars_token(const char *p, size_t n, uint8_t *seen)
{
	size_t i = chars_letters(p, n);
	uint8_t acc = 0;

	for (; i < n; i++) {
		uint8_t class = chars_class[(unsigned char)p[i]];

		if (!(class & CHAR_TOKEN))
			break;
		acc |= class;
	}
	*seen = acc;
	return i;
}

/* s without SP and HTAB around it; no other byte is white space here. */
static inline struct str
chars_trim(struct str s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* True when all of s may stand in a field value (RFC 9110 5.5). */
bool chars_value_ok(struct str s);
/* True when s is a token of at least one byte. */
bool chars_token_ok(struct str s);
/* lower must be in lower case. */
bool chars_equal_nocase(struct str s, struct str lower);
/* Takes the next member off a comma-separated list, trimmed, possibly empty; false when the
 * list is used up. `list->p == NULL` marks the end. */
bool chars_list_next(struct str *list, struct str *member);
/* 1*DIGIT up to 2^63-1, no sign, no blank. */
bool chars_decimal(struct str s, uint64_t *value);
