/* Names of accounts from any bytes: printable, bounded, and different for different bytes.
 * SPDX-License-Identifier: MIT */
#include "common/acct.h"
#include "common/siphash.h"

#include <stdio.h>

#define SHORT_MAX 47  /* bytes kept of a key that is too long */
#define SHORT_TAIL 17 /* `~` and 16 hex digits */

/* Fixed: the same bytes are the same account in every process, for ever. */
static const uint64_t fold_key[2] = {0x73686f616c616363, 0x6f756e7473666f6c};

/* Length of the UTF-8 character at p, 0 when there is none: no overlong forms, no
 * surrogates, nothing above U+10FFFF. */
static size_t
utf8_length(const uint8_t *p, size_t n)
{
	static const struct {
		uint8_t first, last, len, low, high; /* of the second byte */
	} forms[] = {
	    {0x00, 0x7f, 1, 0, 0},
	    {0xc2, 0xdf, 2, 0x80, 0xbf},
	    {0xe0, 0xe0, 3, 0xa0, 0xbf},
	    {0xe1, 0xec, 3, 0x80, 0xbf},
	    {0xed, 0xed, 3, 0x80, 0x9f},
	    {0xee, 0xef, 3, 0x80, 0xbf},
	    {0xf0, 0xf0, 4, 0x90, 0xbf},
	    {0xf1, 0xf3, 4, 0x80, 0xbf},
	    {0xf4, 0xf4, 4, 0x80, 0x8f},
	};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		size_t len = forms[i].len;

		if (p[0] < forms[i].first || p[0] > forms[i].last)
			continue;
		if (len > n || (len > 1 && (p[1] < forms[i].low || p[1] > forms[i].high)))
			return 0;
		for (size_t k = 2; k < len; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return len;
	}
	return 0;
}

/* Bytes that would make the key another's, or a line of text something else. C1 controls
 * count as such, too. */
static bool
needs_escape(const uint8_t *p, size_t len, size_t at, size_t n)
{
	if (len == 2)
		return p[0] == 0xc2 && p[1] < 0xa0;
	if (len != 1)
		return len == 0;
	if (p[0] == '~')
		return at == 0 || n - at == SHORT_TAIL;
	return p[0] < 0x20 || p[0] == 0x7f || p[0] == '%';
}

static bool
is_plain(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] <= 0x20 || p[i] >= 0x7e || p[i] == '%')
			return false;
	return true;
}

/* Writes one character or escape; returns its length in `to`, *taken of the source. */
static size_t
fold_one(const uint8_t *p, size_t n, size_t at, char to[2 * 3 + 1], size_t *taken)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t len = utf8_length(p + at, n - at);

	*taken = MAX(len, (size_t)1);
	if (!needs_escape(p + at, len, at, n)) {
		memcpy(to, p + at, len);
		return len;
	}
	for (size_t i = 0; i < *taken; i++) {
		to[3 * i] = '%';
		to[3 * i + 1] = digits[p[at + i] >> 4];
		to[3 * i + 2] = digits[p[at + i] & 15];
	}
	return 3 * *taken;
}

size_t
acct_key_fold(const char *from, size_t n, char to[ACCT_KEY_MAX])
{
	const uint8_t *p = (const uint8_t *)from;
	size_t out = 0, kept = 0, at = 0, taken;
	char one[7], tail[SHORT_TAIL + 1];

	if (n <= ACCT_KEY_MAX && is_plain(p, n)) {
		memcpy(to, from, n);
		return n;
	}
	while (at < n) {
		size_t len = fold_one(p, n, at, one, &taken);

		if (out + len > ACCT_KEY_MAX)
			break;
		memcpy(to + out, one, len);
		out += len;
		if (out <= SHORT_MAX)
			kept = out;
		at += taken;
	}
	if (at == n)
		return out;
	snprintf(
	    tail, sizeof(tail), "~%016llx", (unsigned long long)siphash(fold_key, from, n));
	memcpy(to + kept, tail, SHORT_TAIL);
	return kept + SHORT_TAIL;
}
