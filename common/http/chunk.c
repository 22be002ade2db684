/* The chunked decoder: a function per state, one byte at a time except for the data.
 * SPDX-License-Identifier: MIT */
#include "common/http/chunk.h"

#include "common/http/chars.h"

#define SIZE_DIGITS_MAX 16

enum chunk_state {
	CHUNK_SIZE,      /* hexadecimal digits */
	CHUNK_SIZE_LF,   /* LF behind size and extensions */
	CHUNK_EXT_START, /* blanks behind `;` */
	CHUNK_EXT_NAME,
	CHUNK_EXT_VALUE_START,
	CHUNK_EXT_VALUE,
	CHUNK_EXT_QUOTED,
	CHUNK_EXT_ESCAPED,
	CHUNK_EXT_END, /* behind a quoted value */
	CHUNK_PAYLOAD,
	CHUNK_PAYLOAD_CR,
	CHUNK_PAYLOAD_LF,
	CHUNK_LINE_START, /* of a trailer, or the end */
	CHUNK_NAME,
	CHUNK_VALUE,
	CHUNK_VALUE_LF,
	CHUNK_LAST_LF,
	CHUNK_FINISHED,
	CHUNK_FAILED,
	CHUNK_STATES,
};

/* Fields that frame, route or authenticate a message must not come behind it
 * (RFC 9110 6.5.1). All other trailers are validated and dropped. */
static const struct str forbidden[] = {
    {"content-length", 14},
    {"transfer-encoding", 17},
    {"host", 4},
    {"trailer", 7},
    {"te", 2},
    {"connection", 10},
    {"authorization", 13},
    {"proxy-authorization", 19},
    {"cookie", 6},
};

void
chunk_init(struct chunk *c)
{
	memset(c, 0, sizeof(*c));
}

static int
refuse(struct chunk *c, const char *reason)
{
	c->state = CHUNK_FAILED;
	c->reason = reason;
	return -1;
}

static int
go(struct chunk *c, enum chunk_state state)
{
	c->state = (uint8_t)state;
	return 0;
}

/* What may come behind a whole extension, with or without value. */
static int
ext_next(struct chunk *c, char b)
{
	if (b == ';')
		return go(c, CHUNK_EXT_START);
	if (b == '\r')
		return go(c, CHUNK_SIZE_LF);
	return refuse(c, "malformed chunk extension");
}

static int
on_size(struct chunk *c, char b)
{
	if (LIKELY(chars_is(b, CHAR_HEX))) {
		if (c->digits++ == SIZE_DIGITS_MAX)
			return refuse(c, "chunk size too long");
		c->left = c->left << 4 | chars_hex(b);
		return 0;
	}
	if (c->digits == 0 || (b != '\r' && b != ';'))
		return refuse(c, "malformed chunk size");
	return go(c, b == '\r' ? CHUNK_SIZE_LF : CHUNK_EXT_START);
}

static int
on_size_lf(struct chunk *c, char b)
{
	if (b != '\n')
		return refuse(c, "no CRLF after the chunk size");
	return go(c, c->left ? CHUNK_PAYLOAD : CHUNK_LINE_START);
}

static int
on_ext_start(struct chunk *c, char b)
{
	if (b == ' ' || b == '\t')
		return 0;
	if (!chars_is(b, CHAR_TOKEN))
		return refuse(c, "malformed chunk extension");
	return go(c, CHUNK_EXT_NAME);
}

static int
on_ext_name(struct chunk *c, char b)
{
	if (chars_is(b, CHAR_TOKEN))
		return 0;
	return b == '=' ? go(c, CHUNK_EXT_VALUE_START) : ext_next(c, b);
}

static int
on_ext_value_start(struct chunk *c, char b)
{
	if (b == '"')
		return go(c, CHUNK_EXT_QUOTED);
	if (!chars_is(b, CHAR_TOKEN))
		return refuse(c, "malformed chunk extension value");
	return go(c, CHUNK_EXT_VALUE);
}

static int
on_ext_value(struct chunk *c, char b)
{
	return chars_is(b, CHAR_TOKEN) ? 0 : ext_next(c, b);
}

static int
on_ext_quoted(struct chunk *c, char b)
{
	if (b == '"')
		return go(c, CHUNK_EXT_END);
	if (b == '\\')
		return go(c, CHUNK_EXT_ESCAPED);
	if (!chars_is(b, CHAR_QUOTED))
		return refuse(c, "control character in a chunk extension");
	return 0;
}

static int
on_ext_escaped(struct chunk *c, char b)
{
	if (!chars_is(b, CHAR_VALUE))
		return refuse(c, "control character in a chunk extension");
	return go(c, CHUNK_EXT_QUOTED);
}

static int
on_payload_cr(struct chunk *c, char b)
{
	return b == '\r' ? go(c, CHUNK_PAYLOAD_LF)
			 : refuse(c, "no CRLF after the chunk data");
}

static int
on_payload_lf(struct chunk *c, char b)
{
	if (b != '\n')
		return refuse(c, "no CRLF after the chunk data");
	c->digits = 0;
	c->left = 0;
	return go(c, CHUNK_SIZE);
}

static int
on_name(struct chunk *c, char b)
{
	if (LIKELY(chars_is(b, CHAR_TOKEN))) {
		if (c->name_len < sizeof(c->name))
			c->name[c->name_len++] = chars_lower(b);
		return 0;
	}
	if (b != ':' || c->name_len == 0)
		return refuse(c, "malformed trailer name");
	for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
		if (str_eq((struct str){c->name, c->name_len}, forbidden[i]))
			return refuse(c, "trailer that must not be one");
	}
	return go(c, CHUNK_VALUE);
}

static int
on_line_start(struct chunk *c, char b)
{
	if (b == '\r')
		return go(c, CHUNK_LAST_LF);
	c->name_len = 0;
	c->state = CHUNK_NAME;
	return on_name(c, b);
}

static int
on_value(struct chunk *c, char b)
{
	if (LIKELY(chars_is(b, CHAR_VALUE)))
		return 0;
	return b == '\r' ? go(c, CHUNK_VALUE_LF)
			 : refuse(c, "control character in a trailer");
}

static int
on_value_lf(struct chunk *c, char b)
{
	return b == '\n' ? go(c, CHUNK_LINE_START) : refuse(c, "bare CR in a trailer");
}

static int
on_last_lf(struct chunk *c, char b)
{
	return b == '\n' ? go(c, CHUNK_FINISHED)
			 : refuse(c, "no CRLF after the last chunk");
}

static const struct step {
	int (*on_byte)(struct chunk *c, char b);
	bool ext, trailer; /* what the byte is counted as */
} steps[CHUNK_STATES] = {
    [CHUNK_SIZE] = {on_size, false, false},
    [CHUNK_SIZE_LF] = {on_size_lf, false, false},
    [CHUNK_EXT_START] = {on_ext_start, true, false},
    [CHUNK_EXT_NAME] = {on_ext_name, true, false},
    [CHUNK_EXT_VALUE_START] = {on_ext_value_start, true, false},
    [CHUNK_EXT_VALUE] = {on_ext_value, true, false},
    [CHUNK_EXT_QUOTED] = {on_ext_quoted, true, false},
    [CHUNK_EXT_ESCAPED] = {on_ext_escaped, true, false},
    [CHUNK_EXT_END] = {ext_next, true, false},
    [CHUNK_PAYLOAD_CR] = {on_payload_cr, false, false},
    [CHUNK_PAYLOAD_LF] = {on_payload_lf, false, false},
    [CHUNK_LINE_START] = {on_line_start, false, true},
    [CHUNK_NAME] = {on_name, false, true},
    [CHUNK_VALUE] = {on_value, false, true},
    [CHUNK_VALUE_LF] = {on_value_lf, false, true},
    [CHUNK_LAST_LF] = {on_last_lf, false, false},
};

static int
byte_take(struct chunk *c, char b)
{
	const struct step *s = &steps[c->state];

	if (s->ext && ++c->ext_bytes > CHUNK_EXT_MAX)
		return refuse(c, "chunk extensions too long");
	if (s->trailer && ++c->trailer_bytes > CHUNK_TRAILER_MAX)
		return refuse(c, "trailers too long");
	return s->on_byte(c, b);
}

enum chunk_result
chunk_decode(struct chunk *c, const char *buf, size_t len, size_t *used, struct str *data)
{
	size_t i = 0;

	*used = 0;
	*data = (struct str){NULL, 0};
	if (c->state == CHUNK_FAILED)
		return CHUNK_ERROR;
	while (i < len && c->state != CHUNK_PAYLOAD && c->state != CHUNK_FINISHED) {
		if (byte_take(c, buf[i]) < 0)
			return CHUNK_ERROR;
		i++;
	}
	if (c->state == CHUNK_PAYLOAD && i < len) {
		*data = (struct str){buf + i, MIN(c->left, len - i)};
		c->left -= data->n;
		i += data->n;
		if (c->left == 0)
			c->state = CHUNK_PAYLOAD_CR;
		*used = i;
		return CHUNK_DATA;
	}
	*used = i;
	return c->state == CHUNK_FINISHED ? CHUNK_DONE : CHUNK_MORE;
}
