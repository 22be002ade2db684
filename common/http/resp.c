/* Checks the application's status and fields and builds the response head.
 * SPDX-License-Identifier: MIT */
#include "common/http/resp.h"

#include "common/http/chars.h"

#define VERSION "HTTP/1.1 "
#define DECIMAL_MAX 20 /* digits of 2^64 */

enum special_kind {
	SPECIAL_REFUSED,
	SPECIAL_CONNECTION,
	SPECIAL_LENGTH,
	SPECIAL_DATE,
	SPECIAL_SERVER
};

/* Fields of the application's that the server has an opinion on. */
static const struct special {
	struct str name;
	enum special_kind kind;
} specials[] = {
    {{"date", 4}, SPECIAL_DATE},
    {{"server", 6}, SPECIAL_SERVER},
    {{"content-length", 14}, SPECIAL_LENGTH},
    {{"connection", 10}, SPECIAL_CONNECTION},
    {{"te", 2}, SPECIAL_REFUSED},
    {{"trailer", 7}, SPECIAL_REFUSED},
    {{"trailers", 8}, SPECIAL_REFUSED},
    {{"upgrade", 7}, SPECIAL_REFUSED},
    {{"keep-alive", 10}, SPECIAL_REFUSED},
    {{"transfer-encoding", 17}, SPECIAL_REFUSED},
    {{"proxy-connection", 16}, SPECIAL_REFUSED},
    {{"proxy-authenticate", 18}, SPECIAL_REFUSED},
    {{"proxy-authorization", 19}, SPECIAL_REFUSED},
};

/* Lengths of the names above, to let most names pass with one test. */
#define SPECIAL_LENGTHS                                                                    \
	(1u << 2 | 1u << 4 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 10 | 1u << 14 |           \
	    1u << 16 | 1u << 17 | 1u << 18 | 1u << 19)

static bool
buf_reserve(struct resp_buf *b, size_t more)
{
	size_t cap = MAX(b->cap, 512);
	char *p;

	if (LIKELY(b->cap - b->n >= more))
		return true;
	if (more > RESP_HEAD_MAX || b->n + more > RESP_HEAD_MAX)
		return false;
	while (cap < b->n + more)
		cap *= 2;
	p = b->on_heap ? realloc(b->p, cap) : malloc(cap);
	if (!p)
		return false;
	if (!b->on_heap && b->n)
		memcpy(p, b->p, b->n);
	b->p = p;
	b->cap = cap;
	b->on_heap = true;
	return true;
}

/* Room must be there. */
static void
buf_put(struct resp_buf *b, struct str s)
{
	if (s.n)
		memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
}

static size_t
decimal_put(char *p, uint64_t value)
{
	char text[DECIMAL_MAX];
	size_t n = 0;

	do {
		text[DECIMAL_MAX - ++n] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	memcpy(p, text + DECIMAL_MAX - n, n);
	return n;
}

enum resp_error
resp_begin(struct resp *r, struct str status)
{
	struct resp_buf *b = r->out;

	if (status.n < 3 || status.p[0] < '1' || status.p[0] > '5' ||
	    !chars_is(status.p[1], CHAR_DIGIT) || !chars_is(status.p[2], CHAR_DIGIT))
		return RESP_BAD_STATUS;
	if (status.n > 3 && (status.p[3] != ' ' || !chars_value_ok(status)))
		return RESP_BAD_STATUS;
	if (!buf_reserve(b, sizeof(VERSION) + status.n + 2))
		return RESP_TOO_LARGE;
	r->code = (status.p[0] - '0') * 100 + (status.p[1] - '0') * 10 + status.p[2] - '0';
	r->has_length = r->has_date = r->has_server = r->close_asked = false;
	r->length = 0;
	buf_put(b, STR(VERSION));
	buf_put(b, status);
	/* RFC 9112 4: the space stays even without a reason. */
	buf_put(b, status.n == 3 ? STR(" \r\n") : STR("\r\n"));
	r->fields_at = b->n;
	return RESP_OK;
}

/* `close` is obeyed, `keep-alive` is what happens anyway; nothing else is for the
 * application to say. */
static enum resp_error
connection_note(struct resp *r, struct str list)
{
	struct str option;

	while (chars_list_next(&list, &option)) {
		if (chars_equal_nocase(option, STR("close")))
			r->close_asked = true;
		else if (!chars_equal_nocase(option, STR("keep-alive")))
			return RESP_HOP_BY_HOP;
	}
	return RESP_OK;
}

static const struct special *
special_find(struct str name)
{
	if (name.n > 19 || !(SPECIAL_LENGTHS >> name.n & 1))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(specials); i++) {
		if (chars_equal_nocase(name, specials[i].name))
			return &specials[i];
	}
	return NULL;
}

/* *copy: whether the field is to be written as it is. */
static enum resp_error
special_note(struct resp *r, enum special_kind kind, struct str value, bool *copy)
{
	switch (kind) {
	case SPECIAL_REFUSED:
		return RESP_HOP_BY_HOP;
	case SPECIAL_CONNECTION:
		*copy = false;
		return connection_note(r, value);
	case SPECIAL_LENGTH:
		if (r->has_length || !chars_decimal(chars_trim(value), &r->length))
			return RESP_BAD_LENGTH;
		r->has_length = true;
		/* RFC 9110 8.6: not in 1xx and 204. */
		*copy = r->code >= 200 && r->code != 204;
		break;
	case SPECIAL_DATE:
		r->has_date = true;
		break;
	case SPECIAL_SERVER:
		/* RFC 9110 10.2.4: there is one Server field, and the first one counts. */
		*copy = !r->has_server;
		r->has_server = true;
		break;
	}
	return RESP_OK;
}

static void
name_capitalize(char *p, size_t n)
{
	bool first = true;

	for (size_t i = 0; i < n; i++) {
		p[i] = chars_lower(p[i]);
		if (first && p[i] >= 'a' && p[i] <= 'z')
			p[i] = (char)(p[i] & ~0x20);
		first = p[i] == '-';
	}
}

enum resp_error
resp_field(struct resp *r, struct str name, struct str value)
{
	struct resp_buf *b = r->out;
	const struct special *special;
	bool copy = true;

	if (!chars_token_ok(name))
		return RESP_BAD_NAME;
	if (!chars_value_ok(value))
		return RESP_BAD_VALUE;
	special = special_find(name);
	if (special) {
		enum resp_error e = special_note(r, special->kind, value, &copy);

		if (e != RESP_OK || !copy)
			return e;
	}
	if (value.n > RESP_HEAD_MAX || !buf_reserve(b, name.n + value.n + 4))
		return RESP_TOO_LARGE;
	buf_put(b, name);
	if (r->capitalize)
		name_capitalize(b->p + b->n - name.n, name.n);
	buf_put(b, STR(": "));
	buf_put(b, value);
	buf_put(b, STR("\r\n"));
	return RESP_OK;
}

static void
framing_choose(struct resp *r, bool sized, uint64_t size)
{
	if (r->head_request || r->code < 200 || r->code == 204 || r->code == 304) {
		r->framing = RESP_NO_BODY;
		return;
	}
	if (r->has_length || sized) {
		r->framing = RESP_LENGTH;
		if (!r->has_length)
			r->length = size;
		return;
	}
	r->framing = r->http11 ? RESP_CHUNKED : RESP_CLOSE;
}

/* Server and Date go before the application's fields, but only those can tell whether they
 * are wanted: so they are moved aside. */
static void
preamble_insert(struct resp *r, struct str date, struct str server)
{
	struct resp_buf *b = r->out;
	size_t add = (server.n ? server.n + 10 : 0) + (date.n ? date.n + 8 : 0);
	struct resp_buf at = {b->p, r->fields_at, b->cap, false};

	memmove(b->p + r->fields_at + add, b->p + r->fields_at, b->n - r->fields_at);
	if (server.n) {
		buf_put(&at, STR("Server: "));
		buf_put(&at, server);
		buf_put(&at, STR("\r\n"));
	}
	if (date.n) {
		buf_put(&at, STR("Date: "));
		buf_put(&at, date);
		buf_put(&at, STR("\r\n"));
	}
	b->n += add;
}

enum resp_error
resp_finish(struct resp *r, struct str date, struct str server, bool sized, uint64_t size)
{
	/* The longest of everything below. */
	static const char most[] =
	    "Server: \r\nDate: \r\nContent-Length: 18446744073709551615"
	    "\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n";
	struct resp_buf *b = r->out;
	bool length_written = r->has_length;

	if (r->has_date)
		date.n = 0;
	if (r->has_server)
		server.n = 0;
	if (server.n > RESP_HEAD_MAX || !buf_reserve(b, sizeof(most) + date.n + server.n))
		return RESP_TOO_LARGE;
	framing_choose(r, sized, size);
	preamble_insert(r, date, server);
	if (r->framing == RESP_LENGTH && !length_written) {
		buf_put(b, STR("Content-Length: "));
		b->n += decimal_put(b->p + b->n, r->length);
		buf_put(b, STR("\r\n"));
	} else if (r->framing == RESP_CHUNKED) {
		buf_put(b, STR("Transfer-Encoding: chunked\r\n"));
	}
	r->keep_alive = r->keep_alive && !r->close_asked && r->framing != RESP_CLOSE;
	if (!r->keep_alive)
		buf_put(b, STR("Connection: close\r\n"));
	else if (!r->http11)
		buf_put(b, STR("Connection: keep-alive\r\n"));
	buf_put(b, STR("\r\n"));
	return RESP_OK;
}

const char *
resp_error_text(enum resp_error e)
{
	static const char *const texts[] = {
	    [RESP_OK] = "no error",
	    [RESP_BAD_STATUS] = "the status is not three digits and a reason",
	    [RESP_BAD_NAME] = "a field name is not a token",
	    [RESP_BAD_VALUE] = "a field value contains a control character",
	    [RESP_HOP_BY_HOP] = "a hop-by-hop field is not the application's to send",
	    [RESP_BAD_LENGTH] = "Content-Length is repeated or not a number",
	    [RESP_TOO_LARGE] = "the response head is too large",
	};

	return texts[e];
}

size_t
chunk_header(char *p, uint64_t n)
{
	unsigned digits = 1;

	for (uint64_t v = n >> 4; v; v >>= 4)
		digits++;
	for (unsigned i = digits; i-- > 0; n >>= 4)
		p[i] = "0123456789abcdef"[n & 0xf];
	memcpy(p + digits, "\r\n", 2);
	return digits + 2;
}
