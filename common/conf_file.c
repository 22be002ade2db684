/* Settings from a file: JSON, with the line and column of every value.
 * SPDX-License-Identifier: MIT */
#include "common/conf_file.h"

#include "common/conf_compat.h"
#include "common/conf_option.h"
#include "common/conf_pyfile.h"
#include "common/conf_set.h"
#include "common/strlist.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define ORIGIN_MAX 512

struct position {
	unsigned line, column; /* from 1, in bytes */
};

/* Behind a JSON string whose opening quote is at i. */
static size_t
skip_string(struct str s, size_t i)
{
	for (i++; i < s.n && s.p[i] != '"'; i++)
		i += s.p[i] == '\\';
	return i + 1;
}

static size_t
skip_space(struct str s, size_t i)
{
	while (i < s.n && memchr(" \t\r\n", s.p[i], 4) != NULL)
		i++;
	return i;
}

/* Behind the value at i, up to the comma or brace that ends it. */
static size_t
skip_value(struct str s, size_t i)
{
	unsigned depth = 0;

	while (i < s.n) {
		char ch = s.p[i];

		if (ch == '"') {
			i = skip_string(s, i);
			continue;
		}
		if (depth == 0 && (ch == ',' || ch == '}'))
			break;
		depth += ch == '{' || ch == '[';
		depth -= ch == '}' || ch == ']';
		i++;
	}
	return i;
}

/* Where the value of a top-level key stands. The text is known to be valid JSON, and only
 * keys written without escapes are looked for; 0:0 when the key is written otherwise. */
static struct position
find_value(struct str s, const char *key)
{
	struct position at = {0, 0};
	size_t i = skip_space(s, 0) + 1;

	while ((i = skip_space(s, i)) < s.n && s.p[i] == '"') {
		size_t end = skip_string(s, i);
		struct str name = {s.p + i + 1, end - i - 2};

		i = skip_space(s, skip_space(s, end) + 1);
		if (i < s.n && str_eq(name, str_of(key))) {
			at = (struct position){1, 1};
			for (size_t k = 0; k < i; k++) {
				at.column = s.p[k] == '\n' ? 1 : at.column + 1;
				at.line += s.p[k] == '\n';
			}
			return at;
		}
		i = skip_value(s, i) + 1;
	}
	return at;
}

static void
format_origin(char *buf, const char *name, struct str text, const char *key)
{
	struct position at = find_value(text, key);

	if (at.line == 0)
		snprintf(buf, ORIGIN_MAX, "%s", name);
	else
		snprintf(buf, ORIGIN_MAX, "%s:%u:%u", name, at.line, at.column);
}

static int
unknown_key(const char *key, const char *origin, struct err *e)
{
	const struct compat *k = conf_compat_find(str_of(key));
	const char *near = conf_compat_nearest(str_of(key), false);
	enum conf_id id = near ? conf_option_find(str_of(near)) : CONF_COUNT;
	char buf[CONF_KEY_MAX];

	if (k != NULL && k->kind == COMPAT_ALIAS)
		id = k->id;
	else if (k != NULL && k->sentence != NULL)
		return err_set(e, "%s (%s): %s", key, origin, k->sentence);
	if (id != CONF_COUNT)
		return err_set(e, "unknown key \"%.64s\" (%s); did you mean \"%s\"?", key,
		    origin, conf_option_key(id, buf));
	return err_set(e, "unknown key \"%.64s\" (%s)", key, origin);
}

static int
apply_app(struct conf *c, const json_t *value, const char *origin, struct err *e)
{
	char *copy;

	if (!json_is_string(value))
		return err_set(e, "app (%s): expected a string", origin);
	copy = strdup(json_string_value(value));
	if (copy == NULL)
		return err_set(e, "out of memory");
	free(c->app);
	c->app = copy;
	return 0;
}

static int
apply_object(
    struct conf *c, const char *name, struct str text, const json_t *obj, struct err *e)
{
	struct conf_source src = {0};
	char origin[ORIGIN_MAX];
	const char *key;
	json_t *value;

	src.origin = origin;
	json_object_foreach((json_t *)obj, key, value)
	{
		enum conf_id id = conf_option_find(str_of(key));
		int rc;

		format_origin(origin, name, text, key);
		if (strcmp(key, "app") == 0)
			rc = apply_app(c, value, origin, e);
		else if (id == CONF_COUNT)
			rc = unknown_key(key, origin, e);
		else
			rc = conf_set_json(c, id, value, &src, e);
		if (rc != 0)
			return -1;
	}
	return 0;
}

int
conf_file_apply_json(struct conf *c, const char *name, struct str text, struct err *e)
{
	json_error_t bad;
	json_t *obj = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &bad);
	int rc;

	if (obj == NULL)
		return err_set(
		    e, "%s:%d:%d: %s", name, bad.line, MAX(bad.column, 1), bad.text);
	if (json_is_object(obj))
		rc = apply_object(c, name, text, obj, e);
	else
		rc = err_set(e, "%s:1:1: expected an object, {\"workers\": 4, ...}", name);
	json_decref(obj);
	return rc;
}

static int
load_json(struct conf *c, const char *path, struct err *e)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_FREE char *text = malloc(CONF_FILE_MAX);
	size_t n = 0;
	ssize_t got;

	if (fd < 0)
		return err_errno(e, "config file %s", path);
	if (text == NULL)
		return err_set(e, "out of memory");
	while ((got = read(fd, text + n, CONF_FILE_MAX - n)) > 0)
		n += (size_t)got;
	if (got < 0)
		return err_errno(e, "config file %s", path);
	if (n == CONF_FILE_MAX)
		return err_set(e, "config file %s: larger than 1 MiB", path);
	return conf_file_apply_json(c, path, (struct str){text, n}, e);
}

int
conf_file_load(struct conf *c, const char *path, const char *python,
    struct strlist *notices, struct err *e)
{
	size_t n;

	if (strncmp(path, "python:", 7) == 0)
		return err_set(e,
		    "config file %s: not supported; name the module's file, as in -c %s.py",
		    path, path + 7);
	if (strncmp(path, "file:", 5) == 0)
		path += 5;
	n = strlen(path);
	if (n > 3 && strcmp(path + n - 3, ".py") == 0)
		return conf_pyfile_load(c, path, python, notices, e);
	return load_json(c, path, e);
}
