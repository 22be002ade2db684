/* Values as text: parses and prints numbers, durations, sizes, modes and truth.
 * SPDX-License-Identifier: MIT */
#include "common/conf_value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

struct unit {
	const char *name;
	int64_t factor;
};

/* Largest first: parts of a duration fall, and printing takes the largest that fits. */
static const struct unit durations[] = {
    {"d", 86400000},
    {"h", 3600000},
    {"m", 60000},
    {"s", 1000},
    {"ms", 1},
};

static const struct unit sizes[] = {
    {"T", INT64_C(1) << 40},
    {"G", INT64_C(1) << 30},
    {"M", INT64_C(1) << 20},
    {"k", INT64_C(1) << 10},
};

int
conf_value_int(const char *s, int64_t *out)
{
	bool negative = *s == '-';
	int64_t v = 0;

	if (negative)
		s++;
	if (*s == '\0' || (s[0] == '0' && s[1] != '\0'))
		return -1;
	for (; *s != '\0'; s++) {
		if (!isdigit((unsigned char)*s) || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, *s - '0', &v))
			return -1;
	}
	*out = negative ? -v : v;
	return 0;
}

/* Reads "12" or "1.5" times nothing yet: the fraction is kept as thousandths. Only three
 * digits behind the point count, which is a millisecond of a second. */
static int
read_number(const char **s, int64_t *whole, int64_t *thousandths)
{
	const char *p = *s;
	int64_t scale = 100;

	*whole = 0;
	*thousandths = 0;
	if (!isdigit((unsigned char)*p))
		return -1;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(*whole, 10, whole) ||
		    __builtin_add_overflow(*whole, *p - '0', whole))
			return -1;
	if (*p == '.') {
		if (!isdigit((unsigned char)*++p))
			return -1;
		for (; isdigit((unsigned char)*p); p++, scale /= 10)
			*thousandths += scale * (*p - '0');
	}
	*s = p;
	return 0;
}

static int
scale_number(int64_t whole, int64_t thousandths, int64_t factor, int64_t *sum)
{
	int64_t part;

	if (__builtin_mul_overflow(whole, factor, &part) ||
	    __builtin_add_overflow(*sum, part, sum))
		return -1;
	return __builtin_add_overflow(*sum,
		   thousandths * (factor / 1000) + thousandths * (factor % 1000) / 1000,
		   sum)
		   ? -1
		   : 0;
}

/* The unit's letters at s: its index in `durations`, or the table's length. */
static size_t
find_duration(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(durations); i++)
		if (strlen(durations[i].name) == n &&
		    strncasecmp(s, durations[i].name, n) == 0)
			break;
	return i;
}

int
conf_value_duration(const char *s, int64_t *out)
{
	int64_t whole, thousandths, sum = 0;
	size_t next = 0;

	if (read_number(&s, &whole, &thousandths) != 0)
		return -1;
	if (*s == '\0') {
		if (scale_number(whole, thousandths, 1000, &sum) != 0)
			return -1;
		*out = sum;
		return 0;
	}
	for (;;) {
		size_t n = 0, unit;

		while (isalpha((unsigned char)s[n]))
			n++;
		unit = find_duration(s, n);
		if (unit == ARRAY_LEN(durations) || unit < next ||
		    scale_number(whole, thousandths, durations[unit].factor, &sum) != 0)
			return -1;
		next = unit + 1;
		s += n;
		if (*s == '\0')
			break;
		if (read_number(&s, &whole, &thousandths) != 0)
			return -1;
	}
	*out = sum;
	return 0;
}

int
conf_value_size(const char *s, int64_t *out)
{
	int64_t whole, thousandths, sum = 0, factor = 0;

	if (read_number(&s, &whole, &thousandths) != 0)
		return -1;
	if (*s == '\0' || strcasecmp(s, "b") == 0) {
		*out = whole;
		return thousandths == 0 ? 0 : -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		if (tolower((unsigned char)*s) == tolower((unsigned char)sizes[i].name[0]))
			factor = sizes[i].factor;
	s++;
	if (factor == 0 ||
	    (*s != '\0' && strcasecmp(s, "b") != 0 && strcasecmp(s, "ib") != 0))
		return -1;
	if (scale_number(whole, thousandths, factor, &sum) != 0)
		return -1;
	*out = sum;
	return 0;
}

int
conf_value_mode(const char *s, int64_t *out)
{
	int64_t v = 0;

	if (*s != '0')
		return -1;
	s++;
	if ((*s == 'o' || *s == 'O') && *++s == '\0')
		return -1;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '7' || v > 07777)
			return -1;
		v = v * 8 + (*s - '0');
	}
	*out = v;
	return 0;
}

int
conf_value_bool(const char *s, bool *out)
{
	static const char *const words[2][4] = {
	    {"false", "no", "off", "0"},
	    {"true", "yes", "on", "1"},
	};

	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < ARRAY_LEN(words[i]); k++)
			if (strcasecmp(s, words[i][k]) == 0) {
				*out = i == 1;
				return 0;
			}
	return -1;
}

const char *
conf_value_duration_text(int64_t ms, char *buf)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		int64_t count = ms / durations[i].factor;

		if (count == 0)
			continue;
		ms -= count * durations[i].factor;
		n += (size_t)snprintf(buf + n, CONF_VALUE_TEXT_MAX - n, "%" PRId64 "%s",
		    count, durations[i].name);
	}
	if (n == 0)
		memcpy(buf, "0", 2);
	return buf;
}

const char *
conf_value_size_text(int64_t bytes, char *buf)
{
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		if (bytes == 0 || bytes % sizes[i].factor != 0)
			continue;
		snprintf(buf, CONF_VALUE_TEXT_MAX, "%" PRId64 "%s", bytes / sizes[i].factor,
		    sizes[i].name);
		return buf;
	}
	snprintf(buf, CONF_VALUE_TEXT_MAX, "%" PRId64, bytes);
	return buf;
}

const char *
conf_value_mode_text(int64_t mode, char *buf)
{
	snprintf(buf, CONF_VALUE_TEXT_MAX, "%#" PRIo64, (uint64_t)mode);
	return buf;
}
