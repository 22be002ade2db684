/* Plays cases from stdin through the pure session and prints a JSON object a line for each.
 *
 * A case is a line "LENGTH EVERY LINE FIELDS FIELD_SIZE TOTAL", all decimal, and LENGTH
 * bytes: they arrive in pieces of EVERY bytes (0: at once) under these limits.
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "common/http/session.h"

#define INPUT_MAX (1 << 20)

struct out {
	bool in_body; /* a "body" string is open */
	unsigned messages;
};

static void
json_bytes(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char b = (unsigned char)p[i];

		if (b < 0x20 || b >= 0x7f || b == '"' || b == '\\')
			printf("\\u%04x", b);
		else
			putchar(b);
	}
}

static void
json_span(const char *name, const char *base, struct span s)
{
	printf("\"%s\": \"", name);
	json_bytes(base + s.off, s.len);
	printf("\", ");
}

static void
print_head(struct out *o, const struct head *h, const char *base)
{
	printf("%s{", o->messages++ ? ", " : "");
	json_span("method", base, h->method);
	json_span("target", base, h->target);
	json_span("path", base, h->path);
	json_span("query", base, h->query);
	json_span("host", base, h->host);
	printf("\"version\": \"1.%d\", \"keep_alive\": %s, \"fields\": [", h->version_minor,
	    h->keep_alive ? "true" : "false");
	for (uint32_t i = 0; i < h->n_fields; i++) {
		const struct field *f = &h->fields[i];

		printf("%s{", i ? ", " : "");
		json_span("name", base, f->name);
		json_span("value", base, f->value);
		printf("\"dropped\": %s}", f->flags & FIELD_DROPPED ? "true" : "false");
	}
	printf("], \"body\": \"");
	o->in_body = true;
}

static void
print_message_end(struct out *o, bool complete)
{
	if (o->in_body)
		printf("\", \"complete\": %s}", complete ? "true" : "false");
	o->in_body = false;
}

/* Feeds p[0..n); false when the connection is over. */
static bool
feed(struct session *s, struct out *o, const char *p, size_t n, size_t *done)
{
	struct str data;
	size_t used;

	for (*done = 0;; *done += used) {
		switch (session_feed(s, p + *done, n - *done, &used, &data)) {
		case SESSION_MORE:
			*done += used;
			return true;
		case SESSION_ERROR:
			return false;
		case SESSION_HEAD:
			print_head(o, s->head, p + *done);
			break;
		case SESSION_BODY:
			json_bytes(data.p, data.n);
			break;
		case SESSION_END:
			print_message_end(o, true);
			if (!s->head->keep_alive)
				return false;
			session_init(s, s->head, s->limits, s->body_max);
			break;
		}
	}
}

static void
play(const char *p, size_t n, size_t every, const struct head_limits *limits)
{
	static struct head head;
	struct session s;
	struct out o = {false, 0};
	size_t start = 0, have = 0, done;
	bool open = true;

	session_init(&s, &head, limits, 0);
	printf("{\"messages\": [");
	while (open && have < n) {
		have = every && n - have > every ? have + every : n;
		open = feed(&s, &o, p + start, have - start, &done);
		start += done;
	}
	print_message_end(&o, false);
	printf("], \"status\": %d, \"reason\": \"%s\", \"open\": %s}\n", s.status,
	    s.reason ? s.reason : "", open ? "true" : "false");
}

int
main(void)
{
	static char input[INPUT_MAX];
	struct head_limits limits = {0};
	size_t n, every;

	while (scanf("%zu %zu %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32, &n, &every,
		   &limits.line, &limits.fields, &limits.field_size, &limits.total) == 6) {
		if (getchar() != '\n' || n > sizeof(input) ||
		    fread(input, 1, n, stdin) != n) {
			fprintf(stderr, "session-driver: malformed case\n");
			return 2;
		}
		play(input, n, every, &limits);
	}
	return 0;
}
