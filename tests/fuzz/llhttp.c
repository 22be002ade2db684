/* Holds the session against llhttp: every message we accept it must accept with the same
 * method, target, fields and body. Where that cannot be, `comparable` says why.
 * SPDX-License-Identifier: MIT */
#include <llhttp.h>

#include "common/http/chars.h"
#include "tests/fuzz/support.h"

#define TEXT_MAX (1 << 16)

/* What one of the two saw, as text: a line for the request, one per field, the body. */
struct seen {
	char text[TEXT_MAX];
	size_t n;
	size_t done; /* length of the text of complete messages */
	unsigned messages;
	/* llhttp's spans may come in pieces */
	char name[TEXT_MAX], value[TEXT_MAX];
	size_t name_n, value_n;
	bool in_value, headers_done;
};

static struct seen ours, theirs;

static void
put(struct seen *s, const char *p, size_t n)
{
	FUZZ_CHECK(n <= TEXT_MAX - s->n);
	if (n)
		memcpy(s->text + s->n, p, n);
	s->n += n;
}

static void
put_field(struct seen *s, struct str name, struct str value)
{
	value = chars_trim(value);
	put(s, name.p, name.n);
	put(s, "=", 1);
	put(s, value.p, value.n);
	put(s, "\n", 1);
}

static void
message_complete(struct seen *s)
{
	put(s, "\n.\n", 3);
	s->done = s->n;
	s->messages++;
}

static void
field_flush(void)
{
	if (theirs.in_value && !theirs.headers_done)
		put_field(&theirs, (struct str){theirs.name, theirs.name_n},
		    (struct str){theirs.value, theirs.value_n});
	theirs.in_value = false;
	theirs.name_n = theirs.value_n = 0;
}

static int
on_method(llhttp_t *p, const char *at, size_t n)
{
	(void)p;
	put(&theirs, at, n);
	return 0;
}

static int
on_method_complete(llhttp_t *p)
{
	(void)p;
	put(&theirs, " ", 1);
	return 0;
}

static int
on_url(llhttp_t *p, const char *at, size_t n)
{
	(void)p;
	put(&theirs, at, n);
	return 0;
}

static int
on_url_complete(llhttp_t *p)
{
	(void)p;
	put(&theirs, "\n", 1);
	return 0;
}

static int
on_header_field(llhttp_t *p, const char *at, size_t n)
{
	(void)p;
	if (theirs.in_value)
		field_flush();
	memcpy(theirs.name + theirs.name_n, at, n);
	theirs.name_n += n;
	return 0;
}

static int
on_header_value(llhttp_t *p, const char *at, size_t n)
{
	(void)p;
	theirs.in_value = true;
	if (n)
		memcpy(theirs.value + theirs.value_n, at, n);
	theirs.value_n += n;
	return 0;
}

static int
on_headers_complete(llhttp_t *p)
{
	(void)p;
	field_flush();
	theirs.headers_done = true;
	put(&theirs, "\n", 1);
	return 0;
}

static int
on_body(llhttp_t *p, const char *at, size_t n)
{
	(void)p;
	put(&theirs, at, n);
	return 0;
}

static int
on_message_complete(llhttp_t *p)
{
	(void)p;
	field_flush();
	theirs.headers_done = false;
	message_complete(&theirs);
	return 0;
}

static void
run_theirs(const char *p, size_t n)
{
	llhttp_settings_t settings;
	llhttp_t parser;

	llhttp_settings_init(&settings);
	settings.on_method = on_method;
	settings.on_method_complete = on_method_complete;
	settings.on_url = on_url;
	settings.on_url_complete = on_url_complete;
	settings.on_header_field = on_header_field;
	settings.on_header_value = on_header_value;
	settings.on_headers_complete = on_headers_complete;
	settings.on_body = on_body;
	settings.on_message_complete = on_message_complete;
	llhttp_init(&parser, HTTP_REQUEST, &settings);
	llhttp_execute(&parser, p, n);
}

static bool
method_known(struct str method)
{
#define XX(num, name, string) {#string, sizeof(#string) - 1},
	static const struct str methods[] = {HTTP_METHOD_MAP(XX)};
#undef XX

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (str_eq(method, methods[i]))
			return true;
	}
	return false;
}

/* It takes SP but not HTAB behind a number or a coding; both are OWS (RFC 9110 5.6.3). */
static bool
framed_by_tab(const struct head *h, const char *base)
{
	for (uint32_t i = 0; i < h->n_fields; i++) {
		const struct field *f = &h->fields[i];
		const char *behind = base + f->value.off + f->value.len;

		if (f->id != FIELD_CONTENT_LENGTH && f->id != FIELD_TRANSFER_ENCODING)
			continue;
		if (memchr(behind, '\t', strcspn(behind, "\r")))
			return true;
	}
	return false;
}

/* Classes of requests that we serve and llhttp has a reason of its own not to. */
static bool
comparable(const struct head *h, const char *base)
{
	/* It knows a list of methods; we pass on every token (RFC 9110 9.1). */
	if (!method_known(span_str(base, h->method)))
		return false;
	/* It knows 1.0 and 1.1; a higher minor version is served as 1.1 (RFC 9110 2.5). */
	if (h->version_minor > 1)
		return false;
	/* It hands the connection over on Upgrade; we ignore it (RFC 9110 7.8). */
	return !h->upgrade && !framed_by_tab(h, base);
}

static void
note_head(const struct head *h, const char *base)
{
	struct str s = span_str(base, h->method);

	put(&ours, s.p, s.n);
	put(&ours, " ", 1);
	s = span_str(base, h->target);
	put(&ours, s.p, s.n);
	put(&ours, "\n", 1);
	for (uint32_t i = 0; i < h->n_fields; i++)
		put_field(&ours, span_str(base, h->fields[i].name),
		    span_str(base, h->fields[i].value));
	put(&ours, "\n", 1);
}

static void
run_ours(const char *p, size_t n)
{
	static struct head head;
	struct session s;
	struct str data;
	size_t used;

	session_init(&s, &head, &fuzz_limits, 0);
	for (;; p += used, n -= used) {
		switch (session_feed(&s, p, n, &used, &data)) {
		case SESSION_MORE:
		case SESSION_ERROR:
			return;
		case SESSION_HEAD:
			if (!comparable(&head, p))
				return;
			note_head(&head, p);
			break;
		case SESSION_BODY:
			put(&ours, data.p, data.n);
			break;
		case SESSION_END:
			message_complete(&ours);
			if (!head.keep_alive)
				return;
			session_init(&s, &head, &fuzz_limits, 0);
			break;
		}
	}
}

/* Chunk extensions that RFC 9112 7.1.1 allows and llhttp 8.1 does not: blanks behind the
 * `;`, another extension behind a value without quotes, a backslash or obs-text in quotes.
 */
static bool
extension_unknown(const char *line, size_t n)
{
	unsigned semicolons = 0;
	bool value = false, odd = false;
	size_t i = 0;

	while (i < n && chars_is(line[i], CHAR_HEX))
		i++;
	if (i == 0 || i == n || line[i] != ';')
		return false;
	for (; i < n; i++) {
		semicolons += line[i] == ';';
		value |= line[i] == '=';
		odd |= line[i] == ' ' || line[i] == '\t' || line[i] == '\\' ||
		       (unsigned char)line[i] >= 0x80;
	}
	return odd || (value && semicolons > 1);
}

static bool
input_comparable(const char *p, size_t n)
{
	while (n > 0) {
		const char *lf = memchr(p, '\n', n);
		size_t len = lf ? (size_t)(lf - p) : n;

		if (extension_unknown(p, len))
			return false;
		len += lf != NULL;
		p += len;
		n -= len;
	}
	return true;
}

static void
seen_reset(struct seen *s)
{
	s->n = s->done = s->messages = 0;
	s->name_n = s->value_n = 0;
	s->in_value = s->headers_done = false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > TEXT_MAX / 16 || !input_comparable((const char *)data, size))
		return 0;
	seen_reset(&ours);
	seen_reset(&theirs);
	run_ours((const char *)data, size);
	run_theirs((const char *)data, size);
	if (theirs.done < ours.done || memcmp(ours.text, theirs.text, ours.done) != 0) {
		fprintf(stderr, "ours:\n%.*s\ntheirs:\n%.*s\n", (int)ours.done, ours.text,
		    (int)theirs.n, theirs.text);
		abort();
	}
	return 0;
}
