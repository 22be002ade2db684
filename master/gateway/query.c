/* Query strings as parameters. SPDX-License-Identifier: MIT */
#include "master/gateway/query.h"

#include "common/http/chars.h"

#include <errno.h>

#define NAME_MAX_BYTES 64
#define VALUE_MAX_BYTES 4096

/* As text without control characters, NUL-terminated; its length, or -1. */
static int
decode(struct str from, char *to, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < from.n; i++) {
		int c = (unsigned char)from.p[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			if (i + 2 >= from.n || !chars_is(from.p[i + 1], CHAR_HEX) ||
			    !chars_is(from.p[i + 2], CHAR_HEX))
				return -1;
			c = (int)(chars_hex(from.p[i + 1]) << 4 | chars_hex(from.p[i + 2]));
			i += 2;
		}
		if (c < ' ' || c == 0x7f || n + 1 >= max)
			return -1;
		to[n++] = (char)c;
	}
	to[n] = '\0';
	return (int)n;
}

static const struct ctl_param *
find_param(const struct ctl_method *method, const char *name)
{
	for (size_t i = 0; i < ctl_n_params; i++)
		if (&ctl_methods[ctl_params[i].method] == method &&
		    strcmp(ctl_params[i].name, name) == 0)
			return &ctl_params[i];
	return NULL;
}

static json_t *
scalar(enum ctl_type type, const char *text)
{
	char *end = NULL;

	errno = 0;
	if (type == CTL_T_INTEGER) {
		long long v = strtoll(text, &end, 10);

		if (end != text && *end == '\0' && errno == 0)
			return json_integer(v);
	} else if (type == CTL_T_NUMBER) {
		double v = strtod(text, &end);

		if (end != text && *end == '\0' && errno == 0)
			return json_real(v); /* NULL for what is not finite */
	} else if (type == CTL_T_BOOLEAN) {
		if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
			return json_true();
		if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
			return json_false();
	}
	return json_string(text);
}

static json_t *
list(enum ctl_type type, char *text)
{
	json_t *v = json_array();

	for (char *next; v != NULL && text != NULL; text = next) {
		next = strchr(text, ',');
		if (next != NULL)
			*next++ = '\0';
		if (json_array_size(v) >= CTL_LIST_MAX ||
		    json_array_append_new(v, scalar(type, text)) < 0) {
			json_decref(v);
			return NULL;
		}
	}
	return v;
}

json_t *
query_value(const struct ctl_method *method, const char *name, struct str from)
{
	const struct ctl_param *p = find_param(method, name);
	char text[VALUE_MAX_BYTES];

	if (decode(from, text, sizeof(text)) < 0)
		return NULL;
	if (p == NULL)
		return json_string(text);
	switch (p->type) {
	case CTL_T_STRINGS:
		return list(CTL_T_STRING, text);
	case CTL_T_INTEGERS:
		return list(CTL_T_INTEGER, text);
	default:
		return scalar(p->type, text);
	}
}

static struct str
cut(struct str *rest, char at)
{
	const char *end = rest->n > 0 ? memchr(rest->p, at, rest->n) : NULL;
	struct str first = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
	size_t used = first.n + (end != NULL);

	rest->p += used;
	rest->n -= used;
	return first;
}

json_t *
query_params(const struct ctl_method *method, struct str query)
{
	json_t *v = json_object();

	while (v != NULL && query.n > 0) {
		struct str pair = cut(&query, '&');
		struct str name = cut(&pair, '=');
		char text[NAME_MAX_BYTES];

		if (name.n == 0 && pair.n == 0)
			continue;
		if (decode(name, text, sizeof(text)) < 0 ||
		    json_object_get(v, text) != NULL ||
		    json_object_set_new(v, text, query_value(method, text, pair)) < 0) {
			json_decref(v);
			return NULL;
		}
	}
	return v;
}
