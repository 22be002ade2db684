/* Strings heads and bodies of one connection together; after an error it stays silent.
 * SPDX-License-Identifier: MIT */
#include "common/http/session.h"

void
session_init(struct session *s, struct head *head, const struct head_limits *limits,
    uint64_t body_max)
{
	*s = (struct session){
	    .head = head,
	    .limits = limits,
	    .body_max = body_max,
	    .state = SESSION_IN_HEAD,
	};
	head_init(head);
}

static enum session_event
fail(struct session *s, int status, const char *reason)
{
	s->state = SESSION_FAILED;
	s->status = status;
	s->reason = reason;
	return SESSION_ERROR;
}

static enum session_event
feed_head(struct session *s, const char *buf, size_t len, size_t *used)
{
	struct head *h = s->head;

	switch (head_parse(h, s->limits, buf, len)) {
	case HEAD_MORE:
		return SESSION_MORE;
	case HEAD_ERROR:
		return fail(s, h->status, h->reason);
	case HEAD_DONE:
		break;
	}
	if (s->body_max && h->length > s->body_max)
		return fail(s, 413, "Content-Length over the limit");
	*used = h->end;
	s->body_left = h->length;
	s->state = h->length ? SESSION_IN_LENGTH : SESSION_DONE;
	if (h->chunked) {
		s->state = SESSION_IN_CHUNKS;
		chunk_init(&s->chunk);
	}
	return SESSION_HEAD;
}

static enum session_event
feed_length(struct session *s, const char *buf, size_t len, size_t *used, struct str *data)
{
	if (len == 0)
		return SESSION_MORE;
	*data = (struct str){buf, MIN(len, s->body_left)};
	*used = data->n;
	s->body_seen += data->n;
	s->body_left -= data->n;
	if (s->body_left == 0)
		s->state = SESSION_DONE;
	return SESSION_BODY;
}

static enum session_event
feed_chunks(struct session *s, const char *buf, size_t len, size_t *used, struct str *data)
{
	struct chunk *c = &s->chunk;
	enum chunk_result r = chunk_decode(c, buf, len, used, data);
	uint64_t announced;

	s->framing += *used - data->n;
	if (r == CHUNK_ERROR)
		return fail(s, 400, c->reason);
	if (r == CHUNK_MORE)
		return SESSION_MORE;
	if (r == CHUNK_DONE) {
		s->state = SESSION_DONE;
		return SESSION_END;
	}
	/* The size line says what is coming: refused there, however little came with it. */
	announced = c->left + data->n;
	if (s->body_max && announced > s->body_max - s->body_seen)
		return fail(s, 413, "chunked body over the limit");
	s->body_seen += data->n;
	return SESSION_BODY;
}

enum session_event
session_feed(struct session *s, const char *buf, size_t len, size_t *used, struct str *data)
{
	*used = 0;
	*data = (struct str){NULL, 0};
	switch (s->state) {
	case SESSION_IN_HEAD:
		return feed_head(s, buf, len, used);
	case SESSION_IN_LENGTH:
		return feed_length(s, buf, len, used, data);
	case SESSION_IN_CHUNKS:
		return feed_chunks(s, buf, len, used, data);
	case SESSION_DONE:
		return SESSION_END;
	case SESSION_FAILED:
		break;
	}
	return SESSION_ERROR;
}

bool
session_eof_clean(const struct session *s, size_t pending)
{
	if (s->state == SESSION_DONE)
		return pending == 0;
	/* Empty lines alone are no message. */
	return s->state == SESSION_IN_HEAD && pending <= (size_t)s->head->empty_lines * 2;
}
