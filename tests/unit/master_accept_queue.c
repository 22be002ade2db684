/* What the kernel says about accept queues: read as it is, and from any text.
 * SPDX-License-Identifier: MIT */
#include "master/accept_queue.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_overflows(void **state)
{
	static const struct {
		struct str text;
		int64_t n;
	} cases[] = {
	    {STR("TcpExt: A ListenOverflows B\nTcpExt: 1 23 4\n"), 23},
	    {STR("IpExt: X\nIpExt: 1\nTcpExt: ListenOverflows\nTcpExt: 0\n"), 0},
	    {STR("IpExt: ListenOverflows\nIpExt: 7\n"), -1},
	    {STR("TcpExt: A ListenOverflows\nTcpExt: 1\n"), -1},
	    {STR("TcpExt: ListenOverflows\nTcpExt: 12x\n"), -1},
	    {STR("TcpExt: ListenOverflows\nTcpExt: -1\n"), -1},
	    {STR("TcpExt: ListenOverflows\nTcpExt: 9999999999999999999\n"), -1},
	    {STR("TcpExt: ListenOverflows\n"), -1},
	    {STR("TcpExt: ListenOverflows\nTcpExt: 5"), -1},
	    {STR("\n\n\n"), -1},
	    {STR(""), -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (accept_queue_parse_overflows(cases[i].text) != cases[i].n)
			fail_msg("case %zu", i);
	assert_true(accept_queue_overflows() >= 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
