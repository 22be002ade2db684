/* Reads the lines of a faulthandler dump:
 *   Current thread 0x00007f31d10a62c0 [name] (most recent call first):
 *     File "/usr/lib/python3.11/re/__init__.py", line 166 in match
 * SPDX-License-Identifier: MIT */
#include "master/trace_parse.h"

#include "master/text.h"

#include <stdio.h>

#define ID_MAX 20

struct parse {
	json_t *threads; /* owned */
	json_t *known;   /* owned: these threads by their ids */
	json_t *stack;   /* borrowed: of the thread under way; NULL: none */
	json_t *thread;  /* borrowed */
};

static bool
skip(struct str *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (s->n < n || memcmp(s->p, prefix, n) != 0)
		return false;
	s->p += n;
	s->n -= n;
	return true;
}

/* The last occurrence: file names and thread names may hold the words themselves. */
static bool
split_last(struct str s, const char *sep, struct str *before, struct str *after)
{
	size_t n = strlen(sep);

	for (size_t i = s.n; i >= n; i--) {
		if (memcmp(s.p + i - n, sep, n) != 0)
			continue;
		*before = (struct str){s.p, i - n};
		*after = (struct str){s.p + i, s.n - i};
		return true;
	}
	return false;
}

static bool
is_id(struct str s)
{
	if (!skip(&s, "0x") || s.n == 0 || s.n > 16)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (strchr("0123456789abcdef", s.p[i]) == NULL || s.p[i] == '\0')
			return false;
	return true;
}

/* "0x00007f31d10a62c0" -> "0x7f31d10a62c0", as threading.get_ident() in hexadecimal. */
static void
copy_id(struct str id, char text[ID_MAX])
{
	id.p += 2;
	id.n -= 2;
	while (id.n > 1 && id.p[0] == '0') {
		id.p++;
		id.n--;
	}
	snprintf(text, ID_MAX, "0x%.*s", (int)id.n, id.p);
}

static void
drop_thread(struct parse *p, const json_t *thread)
{
	for (size_t i = 0; i < json_array_size(p->threads); i++)
		if (json_array_get(p->threads, i) == thread) {
			json_array_remove(p->threads, i);
			return;
		}
}

/* Each thread is in a dump once; one that comes again begins the next dump. Only one that
 * is just being started has its creator's id, before it in the dump and without frames. */
static void
make_room_for(struct parse *p, const char *id)
{
	const json_t *thread = json_object_get(p->known, id);

	if (thread == NULL)
		return;
	if (json_array_size(json_object_get(thread, "stack")) == 0) {
		drop_thread(p, thread);
		return;
	}
	json_array_clear(p->threads);
	json_object_clear(p->known);
}

static void
add_thread(struct parse *p, const char *id, bool current, struct str name)
{
	json_t *thread;

	make_room_for(p, id);
	p->thread = p->stack = NULL;
	if (json_array_size(p->threads) >= TRACE_THREADS_MAX)
		return;
	thread = json_pack("{s:s, s:b, s:[]}", "id", id, "current", (int)current, "stack");
	if (thread != NULL && name.n > 0)
		json_object_set_new(thread, "name", text_to_json(name));
	if (json_array_append_new(p->threads, thread) < 0)
		return;
	json_object_set(p->known, id, thread);
	p->thread = thread;
	p->stack = json_object_get(thread, "stack");
}

static bool
read_thread(struct parse *p, struct str line)
{
	bool current = skip(&line, "Current thread ");
	struct str head, name = {NULL, 0}, rest;
	char id[ID_MAX];

	if ((!current && !skip(&line, "Thread ")) ||
	    !split_last(line, " (most recent call first):", &head, &rest) || rest.n > 0)
		return false;
	for (size_t i = 0; i < head.n; i++) {
		if (head.p[i] != ' ')
			continue;
		name = (struct str){head.p + i + 1, head.n - i - 1};
		head.n = i;
		if (skip(&name, "[") && name.n > 0 && name.p[name.n - 1] == ']')
			name.n--;
	}
	if (!is_id(head))
		return false;
	copy_id(head, id);
	add_thread(p, id, current, name);
	return true;
}

/* NULL: "???", or no number that can be a line. */
static json_t *
line_to_json(struct str s)
{
	long long n = 0;

	if (s.n == 0 || s.n > 9)
		return json_null();
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return json_null();
		n = n * 10 + s.p[i] - '0';
	}
	return json_integer(n);
}

static void
read_frame(struct parse *p, struct str line)
{
	struct str where, file, number, function;

	if (p->stack == NULL)
		return;
	if (str_eq(line, STR("  ..."))) {
		json_object_set_new(p->thread, "truncated", json_true());
		return;
	}
	if (!skip(&line, "  File ") || !split_last(line, " in ", &where, &function) ||
	    !split_last(where, ", line ", &file, &number) ||
	    json_array_size(p->stack) >= TRACE_FRAMES_MAX)
		return;
	/* Quoted, or ??? when there is none. */
	if (skip(&file, "\"") && file.n > 0 && file.p[file.n - 1] == '"')
		file.n--;
	json_array_append_new(
	    p->stack, json_pack("{s:o, s:o, s:o}", "file", text_to_json(file), "line",
			  line_to_json(number), "function", text_to_json(function)));
}

json_t *
trace_parse(struct str text)
{
	struct parse p = {.threads = json_array(), .known = json_object()};

	text.n = MIN(text.n, (size_t)TRACE_TEXT_MAX);
	while (p.threads != NULL && text.n > 0) {
		const char *end = memchr(text.p, '\n', text.n);
		struct str line = {text.p, end ? (size_t)(end - text.p) : text.n};

		if (!read_thread(&p, line))
			read_frame(&p, line);
		text.p += line.n;
		text.n -= line.n;
		if (end != NULL) {
			text.p++;
			text.n--;
		}
	}
	json_decref(p.known);
	return p.threads;
}
