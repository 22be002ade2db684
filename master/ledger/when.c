/* Times as people write them, in UTC. SPDX-License-Identifier: MIT */
#include "master/ledger/when.h"

#include <ctype.h>
#include <time.h>

#define YEAR_MIN 1970

/* Exactly so many digits; moves *p behind them. */
static bool
take_number(const char **p, unsigned digits, int *v)
{
	*v = 0;
	for (; digits > 0; digits--, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return false;
		*v = *v * 10 + (**p - '0');
	}
	return true;
}

static bool
take_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/* Behind the seconds: nothing, Z or +hh:mm. */
static bool
take_zone(const char *p, int64_t *offset)
{
	int64_t sign = *p == '-' ? -1 : 1;
	int hours, minutes;

	*offset = 0;
	if (*p == '\0' || strcmp(p, "Z") == 0)
		return true;
	if (!take_char(&p, '+') && !take_char(&p, '-'))
		return false;
	if (!take_number(&p, 2, &hours) || !take_char(&p, ':') ||
	    !take_number(&p, 2, &minutes) || *p != '\0' || hours > 23 || minutes > 59)
		return false;
	*offset = sign * ((int64_t)hours * 60 + minutes) * 60;
	return true;
}

static bool
take_clock(const char *p, struct tm *tm, int64_t *offset)
{
	*offset = 0;
	if (*p == '\0')
		return true;
	if (!take_char(&p, 'T') && !take_char(&p, ' '))
		return false;
	if (!take_number(&p, 2, &tm->tm_hour) || !take_char(&p, ':') ||
	    !take_number(&p, 2, &tm->tm_min))
		return false;
	if (take_char(&p, ':') && !take_number(&p, 2, &tm->tm_sec))
		return false;
	return take_zone(p, offset);
}

static bool
take_date(const char **p, struct tm *tm)
{
	if (!take_number(p, 4, &tm->tm_year) || !take_char(p, '-') ||
	    !take_number(p, 2, &tm->tm_mon) || tm->tm_year < YEAR_MIN)
		return false;
	if (**p != '\0' && (!take_char(p, '-') || !take_number(p, 2, &tm->tm_mday)))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon--;
	return true;
}

int
when_parse(const char *text, int64_t *unix_s)
{
	size_t digits = strspn(text, "0123456789");
	struct tm tm = {.tm_mday = 1}, round;
	int64_t offset;
	time_t t;

	if (digits > 4 && digits < 12 && text[digits] == '\0') {
		*unix_s = strtoll(text, NULL, 10);
		return 0;
	}
	if (!take_date(&text, &tm) || !take_clock(text, &tm, &offset))
		return -1;
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
	return when_floor(first + 40 * (int64_t)86400, WHEN_MONTH);
}
