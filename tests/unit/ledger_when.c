/* Times as people write them. SPDX-License-Identifier: MIT */
#include "master/ledger/when.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_parse(void **state)
{
	static const struct {
		const char *text;
		int64_t t;
	} good[] = {
	    {"2026-11", 1793491200},
	    {"2026-11-21", 1795219200},
	    {"2026-11-21T08:30", 1795249800},
	    {"2026-11-21 08:30:05", 1795249805},
	    {"2026-11-21T08:30:05Z", 1795249805},
	    {"2026-11-21T08:30:05+01:00", 1795246205},
	    {"2026-11-21T08:30:05-05:30", 1795269605},
	    {"1793491200", 1793491200},
	    {"2024-02-29", 1709164800},
	};
	static const char *const bad[] = {"", "2026", "2026-1", "2026-13", "2026-02-29",
	    "2026-11-21T8:30", "2026-11-21T08:30:5", "2026-11-21T24:00", "2026-11-21x",
	    "2026-11-21T08:30+0100", "2026-11-21T08:30:05ZZ", "tomorrow", "-1",
	    "99999999999999", "2026-11-00", "2026-11T08:30", "2026-+1", "2026- 1",
	    "2026-11-21T08:30:"};
	int64_t t;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (when_parse(good[i].text, &t) < 0 || t != good[i].t)
			fail_msg("%s: %lld", good[i].text, (long long)t);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (when_parse(bad[i], &t) == 0)
			fail_msg("%s: %lld", bad[i], (long long)t);
}

static void
test_windows(void **state)
{
	(void)state;
	assert_int_equal(when_floor(1795249805, WHEN_HOUR), 1795248000);
	assert_int_equal(when_next(1795249805, WHEN_HOUR), 1795251600);
	assert_int_equal(when_floor(1795249805, WHEN_DAY), 1795219200);
	assert_int_equal(when_floor(1795249805, WHEN_MONTH), 1793491200);
	assert_int_equal(when_next(1795249805, WHEN_MONTH), 1796083200);
	/* January, and February of a leap year behind it. */
	assert_int_equal(when_next(1704067200, WHEN_MONTH), 1706745600);
	assert_int_equal(when_next(1706745600, WHEN_MONTH), 1709251200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
