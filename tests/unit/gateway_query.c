/* Query strings as parameters: types from the table of methods, everything else refused.
 * SPDX-License-Identifier: MIT */
#include "master/gateway/query.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *method, *query;
	const char *json; /* NULL: refused */
} rows[] = {
    {"stats.get", "", "{}"},
    {"stats.get", "&&", "{}"},
    {"stats.get", "select=totals,workers", "{\"select\":[\"totals\",\"workers\"]}"},
    {"stats.get", "select=", "{\"select\":[\"\"]}"},
    {"workers.get", "slot=7", "{\"slot\":7}"},
    {"workers.get", "slot=-7", "{\"slot\":-7}"},
    {"workers.get", "slot=7x", "{\"slot\":\"7x\"}"},
    {"workers.get", "slot=99999999999999999999", "{\"slot\":\"99999999999999999999\"}"},
    {"workers.recycle", "slots=1,2", "{\"slots\":[1,2]}"},
    {"requests.inflight", "slow_s=0.5", "{\"slow_s\":0.5}"},
    {"requests.inflight", "slow_s=nan", NULL},
    {"server.upgrade", "check=true", "{\"check\":true}"},
    {"server.upgrade", "check=maybe", "{\"check\":\"maybe\"}"},
    {"stats.get", "nothing=1", "{\"nothing\":\"1\"}"},
    {"jobs.get", "job=r%2d1+x", "{\"job\":\"r-1 x\"}"},
    {"jobs.get", "job=%C3%A9", "{\"job\":\"\\u00e9\"}"},
    {"jobs.get", "job=a&job=b", NULL},
    {"jobs.get", "job=%", NULL},
    {"jobs.get", "job=%4", NULL},
    {"jobs.get", "job=%4g", NULL},
    {"jobs.get", "job=%4\x11", NULL}, /* a digit but for one bit */
    {"jobs.get", "job=%00", NULL},
    {"jobs.get", "job=%0a", NULL},
    {"jobs.get", "job=%ff", NULL}, /* no UTF-8 */
    {"jobs.get", "%zz=1", NULL},
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *got =
		    query_params(ctl_table_find(rows[i].method), str_of(rows[i].query));
		json_t *want = rows[i].json ? json_loads(rows[i].json, 0, NULL) : NULL;

		if (want == NULL ? got != NULL : !json_equal(got, want))
			fail_msg("%s", rows[i].query);
		json_decref(got);
		json_decref(want);
	}
}

static void
test_too_long(void **state)
{
	static char query[70000] = "job=";

	(void)state;
	memset(query + 4, 'x', 5000);
	assert_null(query_params(ctl_table_find("jobs.get"), str_of(query)));
	memset(query, 'n', 100);
	assert_null(query_params(ctl_table_find("jobs.get"), str_of(query)));
	strcpy(query, "select=");
	memset(query + 7, ',', 2000);
	query[2007] = '\0';
	assert_null(query_params(ctl_table_find("stats.get"), str_of(query)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
