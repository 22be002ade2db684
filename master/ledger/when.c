/* Times as people write them, in UTC. SPDX-License-Identifier: MIT */
#include "master/ledger/when.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

#define YEAR_MIN 1970
#define YEAR_MAX 9999

/* Behind the seconds: nothing, Z or +hh:mm. */
static int
parse_zone(const char *p, int64_t *offset)
{
	int hours, minutes, used = 0;
	char sign;

	*offset = 0;
	if (*p == '\0' || strcmp(p, "Z") == 0)
		return 0;
	if (sscanf(p, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) != 3 ||
	    p[used] != '\0' || used != 6 || (sign != '+' && sign != '-') || hours > 23 ||
	    minutes > 59 || hours < 0 || minutes < 0)
		return -1;
	*offset = (hours * 60 + minutes) * 60 * (sign == '+' ? 1 : -1);
	return 0;
}

static int
parse_clock(const char *p, struct tm *tm, int64_t *offset)
{
	int used = 0;

	if (*p == '\0') {
		*offset = 0;
		return 0;
	}
	if ((*p != 'T' && *p != ' ') ||
	    sscanf(p + 1, "%2d:%2d%n", &tm->tm_hour, &tm->tm_min, &used) != 2 || used != 5)
		return -1;
	p += 1 + used;
	used = 0;
	if (*p == ':') {
		if (sscanf(p + 1, "%2d%n", &tm->tm_sec, &used) != 1 || used != 2)
			return -1;
		p += 3;
	}
	return parse_zone(p, offset);
}

int
when_parse(const char *text, int64_t *unix_s)
{
	size_t digits = strspn(text, "0123456789");
	struct tm tm = {.tm_mday = 1}, round;
	int used = 0, day = 0;
	int64_t offset;
	time_t t;

	if (digits > 4 && digits < 12 && text[digits] == '\0') {
		*unix_s = strtoll(text, NULL, 10);
		return 0;
	}
	if (digits != 4 || sscanf(text, "%4d-%2d%n", &tm.tm_year, &tm.tm_mon, &used) != 2 ||
	    used != 7)
		return -1;
	text += used;
	used = 0;
	if (*text == '-') {
		if (sscanf(text, "-%2d%n", &day, &used) != 1 || used != 3)
			return -1;
		tm.tm_mday = day;
		text += used;
	} else if (*text != '\0') {
		return -1;
	}
	if (parse_clock(text, &tm, &offset) < 0 || tm.tm_year < YEAR_MIN ||
	    tm.tm_year > YEAR_MAX)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	round = tm;
	t = timegm(&round);
	/* The 31st of February is not the 3rd of March. */
	if (round.tm_mday != tm.tm_mday || round.tm_mon != tm.tm_mon ||
	    round.tm_hour != tm.tm_hour || round.tm_min != tm.tm_min ||
	    round.tm_sec != tm.tm_sec)
		return -1;
	*unix_s = (int64_t)t - offset;
	return 0;
}

int64_t
when_floor(int64_t t, enum when_unit unit)
{
	time_t at = (time_t)t;
	struct tm tm;

	if (unit == WHEN_HOUR)
		return t / 3600 * 3600;
	if (unit == WHEN_DAY)
		return t / 86400 * 86400;
	gmtime_r(&at, &tm);
	tm.tm_mday = 1;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	return (int64_t)timegm(&tm);
}

int64_t
when_next(int64_t t, enum when_unit unit)
{
	int64_t first = when_floor(t, unit);

	if (unit == WHEN_HOUR)
		return first + 3600;
	if (unit == WHEN_DAY)
		return first + 86400;
	/* No month has more than 31 days, and two have more than 40. */
	return when_floor(first + 40 * 86400, WHEN_MONTH);
}
