/* Takes a request head line by line from a growing buffer.
 *
 * A line is judged only when its LF is there, and its length before its bytes, so that the
 * verdict does not depend on how the bytes were split.
 * SPDX-License-Identifier: MIT */
#include "common/http/head.h"

#include "common/http/chars.h"
#include "common/http/fields.h"
#include "common/http/framing.h"
#include "common/http/request_line.h"

/* RFC 9112 2.2 asks to skip at least one; somebody who sends many has nothing to say. */
#define EMPTY_LINES_MAX 4

enum head_state { HEAD_START, HEAD_REQUEST_LINE, HEAD_FIELDS, HEAD_COMPLETE, HEAD_FAILED };

enum line_result { LINE_OK, LINE_MORE, LINE_ERROR };

void
head_init(struct head *h)
{
	memset(h, 0, offsetof(struct head, fields));
	memset(&h->state, 0, sizeof(*h) - offsetof(struct head, state));
}

static enum head_result
fail(struct head *h, int status, const char *reason)
{
	h->state = HEAD_FAILED;
	h->status = status;
	h->reason = reason;
	return HEAD_ERROR;
}

static enum line_result
line_fail(struct head *h, int status, const char *reason)
{
	fail(h, status, reason);
	return LINE_ERROR;
}

/* The line that starts at h->line_start, without its CRLF; longer than max is refused as
 * soon as that is certain. */
static enum line_result
line_take(struct head *h, struct str in, uint32_t max, int status, struct str *line)
{
	uint32_t from = MAX(h->scanned, h->line_start);
	const char *lf = in.n > from ? memchr(in.p + from, '\n', in.n - from) : NULL;
	size_t n;

	h->scanned = (uint32_t)in.n;
	if (!lf) {
		n = in.n - h->line_start;
		/* One byte over may still be the CR. */
		if (n > (size_t)max + 1 || (n > max && in.p[in.n - 1] != '\r'))
			return line_fail(h, status, "line too long");
		return LINE_MORE;
	}
	*line = (struct str){in.p + h->line_start, (size_t)(lf - in.p) - h->line_start};
	h->scanned = (uint32_t)(lf - in.p) + 1;
	n = line->n;
	if (n > 0 && line->p[n - 1] == '\r')
		n--;
	if (n > max)
		return line_fail(h, status, "line too long");
	if (n == line->n)
		return line_fail(h, 400, "bare LF");
	line->n = n;
	return LINE_OK;
}

/* Skips empty lines and refuses at once what cannot begin a method, such as TLS. */
static enum head_result
start_parse(struct head *h, struct str in)
{
	while (in.n - h->line_start >= 1 && in.p[h->line_start] == '\r') {
		if (in.n - h->line_start < 2)
			return HEAD_MORE;
		if (in.p[h->line_start + 1] != '\n')
			return fail(h, 400, "bare CR");
		if (h->empty_lines++ >= EMPTY_LINES_MAX)
			return fail(h, 400, "too many empty lines before the request");
		h->line_start += 2;
	}
	if (in.n == h->line_start)
		return HEAD_MORE;
	if (in.p[h->line_start] == 0x16)
		return fail(h, 400, "TLS on a plain port");
	if (!chars_is(in.p[h->line_start], CHAR_TOKEN))
		return fail(h, 400, "malformed method");
	h->start = h->line_start;
	h->state = HEAD_REQUEST_LINE;
	return HEAD_DONE;
}

/* A method that is too long is told from a target that is before the line is complete. */
static enum line_result
method_check(struct head *h, const struct head_limits *lim, struct str in)
{
	uint8_t seen;
	size_t n;

	if (lim->line < METHOD_MAX || in.n - h->start <= METHOD_MAX)
		return LINE_OK;
	if (memchr(in.p + h->start, ' ', METHOD_MAX + 1))
		return LINE_OK;
	n = chars_token(in.p + h->start, METHOD_MAX + 1, &seen);
	if (n > METHOD_MAX)
		return line_fail(h, 501, "method too long");
	if (memchr(in.p + h->start, '\n', n + 1))
		return LINE_OK;
	return line_fail(h, 400, "malformed method");
}

static enum head_result
request_line_take(struct head *h, const struct head_limits *lim, struct str in)
{
	struct str line;
	enum line_result r = method_check(h, lim, in);
	int status;

	if (r == LINE_OK)
		r = line_take(h, in, lim->line, 414, &line);
	if (r != LINE_OK)
		return r == LINE_MORE ? HEAD_MORE : HEAD_ERROR;
	status = request_line_parse(h, in.p, line);
	if (status)
		return fail(h, status, h->reason);
	h->line_start = h->scanned;
	if (h->line_start - h->start > lim->total)
		return fail(h, 431, "head too long");
	h->state = HEAD_FIELDS;
	return HEAD_DONE;
}

static enum line_result
field_store(
    struct head *h, const struct head_limits *lim, const char *base, struct str line)
{
	uint8_t seen;
	size_t name_len = chars_token(line.p, line.n, &seen);
	struct field *f = &h->fields[h->n_fields];
	struct str value;

	/* Behind the line is its CR, so the byte behind the name can be read. */
	if (UNLIKELY(name_len == 0 || line.p[name_len] != ':'))
		return line_fail(h, 400,
		    line.p[0] == ' ' || line.p[0] == '\t' ? "folded field"
							  : "malformed field name");
	value = (struct str){line.p + name_len + 1, line.n - name_len - 1};
	if (!chars_value_ok(value))
		return line_fail(h, 400, "control character in a field value");
	value = chars_trim(value);
	f->name = (struct span){(uint32_t)(line.p - base), (uint32_t)name_len};
	f->value = (struct span){(uint32_t)(value.p - base), (uint32_t)value.n};
	f->id = (uint16_t)fields_lookup((struct str){line.p, name_len});
	f->flags = 0;
	if ((seen & CHAR_UNDERSCORE) && lim->refuse_underscores)
		return line_fail(h, 400, "an underscore in a field name");
	if (f->id == FIELD_PROXY || ((seen & CHAR_UNDERSCORE) && !lim->keep_underscores)) {
		f->flags = FIELD_DROPPED;
		h->n_dropped++;
	}
	if (f->id != FIELD_OTHER) {
		uint64_t bit = (uint64_t)1 << f->id;

		if (h->seen & bit & fields_unique)
			return line_fail(h, 400, "a field that may come once came twice");
		h->seen |= bit;
	}
	h->n_fields++;
	return LINE_OK;
}

/* The usual case of line_take: a complete line, seen for the first time, within all limits.
 * Whatever is not usual is left to line_take, which starts over. */
static inline bool
line_quick(struct head *h, const struct head_limits *lim, struct str in, struct str *line)
{
	const char *p = in.p + h->line_start, *lf;
	size_t left = in.n - h->line_start, n;

	if (h->scanned > h->line_start || left == 0)
		return false;
	lf = memchr(p, '\n', left);
	if (UNLIKELY(!lf || lf == p || lf[-1] != '\r'))
		return false;
	n = (size_t)(lf - p) - 1;
	if (UNLIKELY(n > lim->field_size || h->line_start - h->start + n + 2 > lim->total))
		return false;
	h->scanned = h->line_start + (uint32_t)n + 2;
	*line = (struct str){p, n};
	return true;
}

static enum head_result
line_careful(struct head *h, const struct head_limits *lim, struct str in, struct str *line)
{
	uint32_t room = lim->total - MIN(lim->total, h->line_start - h->start);
	enum line_result r;

	/* The CRLF belongs to the total. A line of two bytes may still be the last. */
	r = line_take(h, in, MIN(lim->field_size, room - MIN(room, 2)), 431, line);
	if (r != LINE_OK)
		return r == LINE_MORE ? HEAD_MORE : HEAD_ERROR;
	if (h->scanned - h->start > lim->total)
		return fail(h, 431, "head too long");
	return HEAD_DONE;
}

/* The lines of the field section; HEAD_DONE behind the empty one. */
static enum head_result
fields_take(struct head *h, const struct head_limits *lim, struct str in)
{
	uint32_t max = MIN(lim->fields, HEAD_FIELDS_MAX);
	struct str line;

	for (;;) {
		if (!line_quick(h, lim, in, &line)) {
			enum head_result r = line_careful(h, lim, in, &line);

			if (r != HEAD_DONE)
				return r;
		}
		h->line_start = h->scanned;
		if (line.n == 0)
			break;
		if (h->n_fields >= max)
			return fail(h, 431, "too many fields");
		if (field_store(h, lim, in.p, line) != LINE_OK)
			return HEAD_ERROR;
	}
	h->end = h->line_start;
	h->state = HEAD_COMPLETE;
	return HEAD_DONE;
}

enum head_result
head_parse(struct head *h, const struct head_limits *lim, const char *buf, size_t len)
{
	struct str in = {buf, MIN(len, UINT32_MAX)}; /* offsets are 32 bits wide */
	enum head_result r = HEAD_DONE;
	int status;

	if (h->state == HEAD_FAILED)
		return HEAD_ERROR;
	if (h->state == HEAD_START)
		r = start_parse(h, in);
	if (r == HEAD_DONE && h->state == HEAD_REQUEST_LINE)
		r = request_line_take(h, lim, in);
	if (r == HEAD_DONE && h->state == HEAD_FIELDS)
		r = fields_take(h, lim, in);
	if (r != HEAD_DONE)
		return r;
	status = framing_decide(h, buf);
	return status ? fail(h, status, h->reason) : HEAD_DONE;
}
