/* Values of replies as people read them. SPDX-License-Identifier: MIT */
#include "master/cli/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

/* Sixteen digits: Unix time with microseconds whole, and 0.1 still 0.1. */
#define DIGITS 16
#define KEY_MAX 64

const json_t *
value_at(const json_t *v, const char *path)
{
	while (v != NULL && *path != '\0') {
		size_t n = strcspn(path, ".");
		char key[KEY_MAX];

		if (n >= sizeof(key))
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		v = json_object_get(v, key);
		path += n + (path[n] == '.');
	}
	return json_is_null(v) ? NULL : v;
}

double
value_number(const json_t *v, const char *path, double none)
{
	const json_t *at = value_at(v, path);

	return json_is_number(at) ? json_number_value(at) : none;
}

const char *
value_string(const json_t *v, const char *path, const char *none)
{
	const char *s = json_string_value(value_at(v, path));

	return s ? s : none;
}

const char *
value_seconds(double s, char *buf, size_t max)
{
	if (!isfinite(s) || fabs(s) > 1e12) {
		snprintf(buf, max, "-");
		return buf;
	}
	int64_t n = (int64_t)(s + 0.5), d = n / 86400, h = n / 3600 % 24, m = n / 60 % 60;

	if (s < 0)
		snprintf(buf, max, "%.0fs", s);
	else if (s < 9.95)
		snprintf(buf, max, "%.1fs", s);
	else if (n < 60)
		snprintf(buf, max, "%" PRId64 "s", n);
	else if (n < 3600)
		snprintf(buf, max, "%" PRId64 "m%02" PRId64 "s", m, n % 60);
	else if (n < 86400)
		snprintf(buf, max, "%" PRId64 "h%02" PRId64 "m", h, m);
	else
		snprintf(buf, max, "%" PRId64 "d%02" PRId64 "h", d, h);
	return buf;
}

const char *
value_micros(double us, char *buf, size_t max)
{
	if (us < 999.5)
		snprintf(buf, max, "%.0fus", us);
	else if (us < 99950)
		snprintf(buf, max, "%.1fms", us / 1e3);
	else if (us < 999500)
		snprintf(buf, max, "%.0fms", us / 1e3);
	else
		value_seconds(us / 1e6, buf, max);
	return buf;
}

const char *
value_bytes(double bytes, char *buf, size_t max)
{
	static const char units[] = "KMGTPE";
	int u = -1;

	for (; fabs(bytes) >= 1023.95 && u < (int)sizeof(units) - 2; u++)
		bytes /= 1024;
	if (u < 0)
		snprintf(buf, max, "%.0f", bytes);
	else
		snprintf(
		    buf, max, fabs(bytes) < 99.95 ? "%.1f%c" : "%.0f%c", bytes, units[u]);
	return buf;
}

const char *
value_time(double t, bool with_date, char *buf, size_t max)
{
	time_t when = isfinite(t) && fabs(t) < 1e12 ? (time_t)t : 0;
	struct tm tm;

	if (when == 0 || localtime_r(&when, &tm) == NULL ||
	    strftime(buf, max, with_date ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S", &tm) == 0)
		snprintf(buf, max, "-");
	return buf;
}

static void
list_text(const json_t *v, char *buf, size_t max)
{
	size_t n = 0, i;
	json_t *one;

	buf[0] = '\0';
	json_array_foreach(v, i, one)
	{
		char text[VALUE_TEXT_MAX];
		size_t len = strlen(value_raw(one, text));

		if (n + len + 3 > max)
			break;
		n += (size_t)snprintf(buf + n, max - n, "%s%s", i ? ", " : "", text);
	}
}

const char *
value_raw(const json_t *v, char buf[VALUE_TEXT_MAX])
{
	char *dumped;

	if (v == NULL || json_is_null(v)) {
		buf[0] = '\0';
	} else if (json_is_string(v)) {
		snprintf(buf, VALUE_TEXT_MAX, "%s", json_string_value(v));
	} else if (json_is_array(v)) {
		list_text(v, buf, VALUE_TEXT_MAX);
	} else {
		dumped = json_dumps(
		    v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(DIGITS));
		snprintf(buf, VALUE_TEXT_MAX, "%s", dumped ? dumped : "");
		free(dumped);
	}
	return buf;
}

static const char *
number_text(double d, enum value_format format, char *buf)
{
	char text[64];

	switch (format) {
	case VALUE_SECONDS:
		return value_seconds(d, buf, VALUE_TEXT_MAX);
	case VALUE_MICROS:
		return value_micros(d, buf, VALUE_TEXT_MAX);
	case VALUE_BYTES:
		return value_bytes(d, buf, VALUE_TEXT_MAX);
	case VALUE_TIME:
		return value_time(d, true, buf, VALUE_TEXT_MAX);
	case VALUE_RATE:
		snprintf(buf, VALUE_TEXT_MAX, "%.1f/s", d);
		return buf;
	case VALUE_BYTE_RATE:
		value_bytes(d, text, sizeof(text));
		snprintf(buf, VALUE_TEXT_MAX, "%s/s", text);
		return buf;
	default:
		return NULL;
	}
}

const char *
value_text(const json_t *v, enum value_format format, char buf[VALUE_TEXT_MAX])
{
	if (json_is_number(v) && number_text(json_number_value(v), format, buf) != NULL)
		return buf;
	if (v == NULL || json_is_null(v))
		snprintf(buf, VALUE_TEXT_MAX, "-");
	else if (json_is_boolean(v))
		snprintf(buf, VALUE_TEXT_MAX, json_is_true(v) ? "yes" : "no");
	else
		value_raw(v, buf);
	return *buf ? buf : strcpy(buf, "-");
}

char *
value_dump(const json_t *v, unsigned indent)
{
	size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(DIGITS);
	char *text = json_dumps(v, flags | (indent ? JSON_INDENT(indent) : JSON_COMPACT));
	char *line = NULL;

	if (text == NULL || asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}
