/* Hostile bytes made harmless. SPDX-License-Identifier: MIT */
#include "master/text.h"

/* C0, DEL, and C1 in its UTF-8 form, which terminals obey, too. */
static bool
has_control(struct str s, const char *but)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < 0x20 && (c == '\0' || strchr(but, c) == NULL)) || c == 0x7f)
			return true;
		if (c == 0xc2 && i + 1 < s.n && ((unsigned char)s.p[i + 1] & 0xe0) == 0x80)
			return true;
	}
	return false;
}

/* but: control characters that may stay. */
static json_t *
make_json(struct str bytes, const char *but)
{
	static const char digits[] = "0123456789abcdef";
	json_t *v = has_control(bytes, but) ? NULL : json_stringn(bytes.p, bytes.n);
	char *text, *to;

	if (v != NULL)
		return v;
	text = to = malloc(4 * bytes.n + 1);
	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];

		if ((c >= 0x20 && c < 0x7f) || (c != '\0' && strchr(but, c) != NULL)) {
			*to++ = (char)c;
			continue;
		}
		*to++ = '\\';
		*to++ = 'x';
		*to++ = digits[c >> 4];
		*to++ = digits[c & 15];
	}
	v = json_stringn(text, (size_t)(to - text));
	free(text);
	return v;
}

json_t *
text_to_json(struct str bytes)
{
	return make_json(bytes, "");
}

json_t *
text_lines_to_json(struct str bytes)
{
	return make_json(bytes, "\n\t");
}

struct str
text_cut(const char *bytes, size_t max)
{
	return (struct str){bytes, strnlen(bytes, max)};
}
