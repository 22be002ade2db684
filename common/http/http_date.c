/* IMF-fixdate without a time zone, a locale or the C library's state.
 * SPDX-License-Identifier: MIT */
#include "common/http/resp.h"

#define DAY_S 86400
#define DAYS_PER_ERA 146097        /* 400 Gregorian years */
#define EPOCH_DAYS 719468          /* from 0000-03-01 to 1970-01-01 */
#define SECONDS_MIN (-62167219200) /* 0000-01-01, the first of four digits */
#define SECONDS_MAX 253402300799   /* 9999-12-31 23:59:59 */

static void
digits_put(char *p, unsigned n, unsigned value)
{
	while (n-- > 0) {
		p[n] = (char)('0' + value % 10);
		value /= 10;
	}
}

void
http_date(char *p, int64_t unix_s)
{
	static const char days[] = "ThuFriSatSunMonTueWed"; /* from 1970-01-01 on */
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t t = MAX(SECONDS_MIN, MIN(unix_s, SECONDS_MAX));
	int64_t day = (t - SECONDS_MIN) / DAY_S + SECONDS_MIN / DAY_S;
	unsigned second = (unsigned)(t - day * DAY_S);
	/* Years start in March here, so that the leap day is the last one. */
	unsigned shifted = (unsigned)(day + EPOCH_DAYS + DAYS_PER_ERA);
	unsigned doe = shifted % DAYS_PER_ERA;
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;
	unsigned month = mp < 10 ? mp + 2 : mp - 10; /* from 0 */
	unsigned year = shifted / DAYS_PER_ERA * 400 + yoe - 400 + (month < 2);
	unsigned weekday = (unsigned)((day % 7 + 7) % 7);

	memcpy(p, "___, __ ___ ____ __:__:__ GMT", 29);
	memcpy(p, days + weekday * 3, 3);
	digits_put(p + 5, 2, doy - (153 * mp + 2) / 5 + 1);
	memcpy(p + 8, months + month * 3, 3);
	digits_put(p + 12, 4, year);
	digits_put(p + 17, 2, second / 3600);
	digits_put(p + 20, 2, second / 60 % 60);
	digits_put(p + 23, 2, second % 60);
}
