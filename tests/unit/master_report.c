/* How a worker's end is put in words. SPDX-License-Identifier: MIT */
#include "master/report.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

static void
test_cause(void **state)
{
	static const struct {
		int status;
		const char *text;
	} cases[] = {
	    {W_EXITCODE(0, 0), "status=0"},
	    {W_EXITCODE(3, 0), "status=3"},
	    {W_EXITCODE(0, SIGKILL), "signal=SIGKILL"},
	    {W_EXITCODE(0, SIGSEGV) | WCOREFLAG, "signal=SIGSEGV core=yes"},
	    {W_EXITCODE(0, 40), "signal=40"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[64];

		assert_int_equal(report_cause(cases[i].status, text, sizeof(text)),
		    strlen(cases[i].text));
		assert_string_equal(text, cases[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
