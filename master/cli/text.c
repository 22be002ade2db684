/* Text from elsewhere made fit for a terminal. SPDX-License-Identifier: MIT */
#include "master/cli/text.h"

#define TAB_STOP 8
#define ESCAPE_MAX 16

static bool ascii_only;

struct range {
	uint32_t first, last;
};

/* What must not be written although it is not a control code: it hides, joins or turns
 * around what stands beside it. */
static const struct range hidden[] = {
    {0x00ad, 0x00ad},
    {0x061c, 0x061c},
    {0x115f, 0x1160},
    {0x17b4, 0x17b5},
    {0x180e, 0x180e},
    {0x200b, 0x200f},
    {0x2028, 0x202e},
    {0x2060, 0x206f},
    {0x3164, 0x3164},
    {0xd800, 0xf8ff},
    {0xfeff, 0xfeff},
    {0xffa0, 0xffa0},
    {0xfff0, 0xfffb},
    {0xfffe, 0xffff},
    {0xe0000, 0x10ffff},
};

static const struct range combining[] = {
    {0x0300, 0x036f},
    {0x0483, 0x0489},
    {0x0591, 0x05bd},
    {0x064b, 0x065f},
    {0x0e31, 0x0e31},
    {0x0e34, 0x0e3a},
    {0x0e47, 0x0e4e},
    {0x1ab0, 0x1aff},
    {0x1dc0, 0x1dff},
    {0x20d0, 0x20ff},
    {0x3099, 0x309a},
    {0xfe00, 0xfe0f},
    {0xfe20, 0xfe2f},
};

static const struct range wide[] = {
    {0x1100, 0x115e},
    {0x2e80, 0x303e},
    {0x3041, 0xa4cf},
    {0xac00, 0xd7a3},
    {0xf900, 0xfaff},
    {0xfe30, 0xfe6f},
    {0xff01, 0xff60},
    {0xffe0, 0xffe6},
    {0x1f300, 0x1faff},
    {0x20000, 0x3fffd},
};

static bool
in_ranges(const struct range *r, size_t n, uint32_t cp)
{
	for (size_t i = 0; i < n; i++)
		if (cp >= r[i].first && cp <= r[i].last)
			return true;
	return false;
}

void
text_set_ascii(bool on)
{
	ascii_only = on;
}

bool
text_is_ascii(void)
{
	return ascii_only;
}

unsigned
text_decode(const char *s, size_t n, uint32_t *cp)
{
	const unsigned char *u = (const unsigned char *)s;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned len = u[0] < 0x80   ? 1
		       : u[0] < 0xc2 ? 0
		       : u[0] < 0xe0 ? 2
		       : u[0] < 0xf0 ? 3
				     : 4;

	*cp = UINT32_MAX;
	if (len == 0 || len > n || u[0] > 0xf4)
		return 1;
	if (len == 1) {
		*cp = u[0];
		return 1;
	}
	uint32_t v = u[0] & (0xffu >> (len + 1));

	for (unsigned i = 1; i < len; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 1;
		v = v << 6 | (u[i] & 0x3f);
	}
	if (v < least[len] || v > 0x10ffff)
		return 1;
	*cp = v;
	return len;
}

int
text_columns(uint32_t cp)
{
	if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp > 0x10ffff)
		return -1;
	if (cp < 0x7f)
		return 1;
	if (ascii_only || in_ranges(hidden, ARRAY_LEN(hidden), cp))
		return -1;
	if (in_ranges(combining, ARRAY_LEN(combining), cp))
		return 0;
	return in_ranges(wide, ARRAY_LEN(wide), cp) ? 2 : 1;
}

/* How one character is written: itself or an escape. Returns bytes and columns. */
static unsigned
write_char(const char *s, unsigned len, uint32_t cp, char out[ESCAPE_MAX], unsigned *cols)
{
	int n, c = text_columns(cp);

	if (c >= 0) {
		memcpy(out, s, len);
		*cols = (unsigned)c;
		return len;
	}
	if (cp == '\n' || cp == '\t' || cp == '\r')
		n = snprintf(out, ESCAPE_MAX, "\\%c",
		    cp == '\n'   ? 'n'
		    : cp == '\t' ? 't'
				 : 'r');
	else if (cp == UINT32_MAX || cp < 0x80)
		n = snprintf(out, ESCAPE_MAX, "\\x%02x", (unsigned char)*s);
	else
		n = snprintf(out, ESCAPE_MAX, cp > 0xffff ? "\\U%08x" : "\\u%04x", cp);
	*cols = (unsigned)n;
	return (unsigned)n;
}

unsigned
text_clean(const char *s, char *buf, size_t max, unsigned columns)
{
	const char *dots = ascii_only ? "~" : "…";
	size_t left = strlen(s), n = 0, fits = 0; /* fits: bytes that leave room for dots */
	unsigned used = 0, used_fits = 0;

	while (left > 0) {
		char one[ESCAPE_MAX];
		uint32_t cp;
		unsigned len = text_decode(s, left, &cp), cols;
		unsigned bytes = write_char(s, len, cp, one, &cols);

		if (used + cols > columns || n + bytes + strlen(dots) >= max) {
			if (columns == 0 || fits + strlen(dots) >= max)
				break;
			memcpy(buf + fits, dots, strlen(dots) + 1);
			return used_fits + 1;
		}
		memcpy(buf + n, one, bytes);
		n += bytes;
		used += cols;
		if (used < columns) {
			fits = n;
			used_fits = used;
		}
		s += len;
		left -= len;
	}
	if (max > 0)
		buf[n] = '\0';
	return used;
}

void
text_put_lines(FILE *f, const char *s, const char *indent)
{
	size_t left = strlen(s);
	unsigned column = 0;
	bool begin = true;

	while (left > 0) {
		char one[ESCAPE_MAX];
		uint32_t cp;
		unsigned len = text_decode(s, left, &cp), cols;

		if (begin)
			fputs(indent, f);
		begin = cp == '\n';
		if (begin) {
			fputc('\n', f);
			column = 0;
		} else if (cp == '\t') {
			unsigned pad = TAB_STOP - column % TAB_STOP;

			fprintf(f, "%*s", (int)pad, "");
			column += pad;
		} else if (cp != '\r' || left == 1 || s[1] != '\n') {
			fwrite(one, 1, write_char(s, len, cp, one, &cols), f);
			column += cols;
		}
		s += len;
		left -= len;
	}
	if (!begin)
		fputc('\n', f);
}

void
text_put_json(FILE *f, const char *s, size_t n)
{
	while (n > 0) {
		uint32_t cp;
		unsigned len = text_decode(s, n, &cp);

		if (cp == '\n' || cp == '\t' || text_columns(cp) >= 0)
			fwrite(s, 1, len, f);
		else if (cp > 0xffff && cp != UINT32_MAX)
			fprintf(f, "\\u%04x\\u%04x", 0xd7c0 + (cp >> 10),
			    0xdc00 + (cp & 0x3ff));
		else
			fprintf(f, "\\u%04x", cp == UINT32_MAX ? 0xfffd : cp);
		s += len;
		n -= len;
	}
}
