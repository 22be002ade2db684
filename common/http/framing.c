/* Decides body framing, persistence, expectation and host at the end of a head.
 * SPDX-License-Identifier: MIT */
#include "common/http/framing.h"

#include "common/http/chars.h"
#include "common/http/fields.h"
#include "common/http/host.h"

struct options {
	bool close, keep_alive, upgrade;
};

static int
refuse(struct head *h, int status, const char *reason)
{
	h->reason = reason;
	return status;
}

/* RFC 9112 6.1. Exactly `chunked` is served. A list of tokens that ends in its only
 * `chunked` is honest but unknown: 501. All else could be read differently by somebody in
 * front of us: 400. */
static int
transfer_encoding_check(struct head *h, struct str list)
{
	struct str coding;
	unsigned codings = 0, chunked = 0;
	bool last_chunked = false;

	if (!h->http11)
		return refuse(h, 400, "Transfer-Encoding in an HTTP/1.0 request");
	if (h->has_length)
		return refuse(h, 400, "Content-Length and Transfer-Encoding");
	while (chars_list_next(&list, &coding)) {
		if (!chars_token_ok(coding) || chars_equal_nocase(coding, STR("identity")))
			return refuse(h, 400, "malformed Transfer-Encoding");
		last_chunked = chars_equal_nocase(coding, STR("chunked"));
		chunked += last_chunked;
		codings++;
	}
	if (chunked != 1 || !last_chunked)
		return refuse(h, 400, "Transfer-Encoding does not end in one chunked");
	if (codings != 1)
		return refuse(h, 501, "transfer coding not implemented");
	h->chunked = true;
	return 0;
}

static int
content_length_parse(struct head *h, struct str value)
{
	if (!chars_decimal(value, &h->length))
		return refuse(h, 400, "malformed Content-Length");
	h->has_length = true;
	return 0;
}

static void
connection_parse(struct str list, struct options *o)
{
	struct str option;

	while (chars_list_next(&list, &option)) {
		o->close |= chars_equal_nocase(option, STR("close"));
		o->keep_alive |= chars_equal_nocase(option, STR("keep-alive"));
		o->upgrade |= chars_equal_nocase(option, STR("upgrade"));
	}
}

static int
expect_parse(struct head *h, struct str list)
{
	struct str member;

	while (chars_list_next(&list, &member)) {
		if (member.n == 0)
			continue;
		if (!chars_equal_nocase(member, STR("100-continue")))
			return refuse(h, 417, "unknown expectation");
		/* RFC 9110 10.1.1: ignored in a 1.0 request. */
		h->expect_continue = h->http11;
	}
	return 0;
}

static int
refuse_host(struct head *h, const char *reason)
{
	h->bad_host = true;
	return refuse(h, 400, reason);
}

static int
host_check(struct head *h, const char *base)
{
	struct str host = {NULL, 0};

	if (!(h->seen & FIELD_BIT(HOST))) {
		if (h->http11)
			return refuse_host(h, "no Host");
		return 0;
	}
	for (uint32_t i = 0; i < h->n_fields; i++) {
		if (h->fields[i].id == FIELD_HOST) {
			host = span_str(base, h->fields[i].value);
			if (h->form != TARGET_ABSOLUTE)
				h->host = h->fields[i].value;
			break;
		}
	}
	if (!host_valid(host))
		return refuse_host(h, "malformed Host");
	return 0;
}

/* The fields with a meaning of their own, besides Host. */
static int
semantics_decide(struct head *h, const char *base, struct options *o)
{
	const struct field *encoding = NULL;
	int status = 0;

	for (uint32_t i = 0; i < h->n_fields && !status; i++) {
		const struct field *f = &h->fields[i];

		if (f->id == FIELD_CONNECTION)
			connection_parse(span_str(base, f->value), o);
		else if (f->id == FIELD_CONTENT_LENGTH)
			status = content_length_parse(h, span_str(base, f->value));
		else if (f->id == FIELD_TRANSFER_ENCODING)
			encoding = f;
	}
	if (!status && encoding)
		status = transfer_encoding_check(h, span_str(base, encoding->value));
	/* Only a request whose framing is beyond doubt gets a milder answer. */
	for (uint32_t i = 0; i < h->n_fields && !status; i++) {
		if (h->fields[i].id == FIELD_EXPECT)
			status = expect_parse(h, span_str(base, h->fields[i].value));
	}
	return status;
}

int
framing_decide(struct head *h, const char *base)
{
	const uint64_t meaningful = FIELD_BIT(CONNECTION) | FIELD_BIT(CONTENT_LENGTH) |
				    FIELD_BIT(TRANSFER_ENCODING) | FIELD_BIT(EXPECT);
	struct options o = {false, false, false};
	int status = host_check(h, base);

	if (!status && (h->seen & meaningful))
		status = semantics_decide(h, base, &o);
	h->close_asked = o.close;
	h->upgrade = o.upgrade && (h->seen & FIELD_BIT(UPGRADE));
	h->keep_alive = !o.close && (h->http11 || o.keep_alive);
	return status;
}
