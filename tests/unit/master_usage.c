/* Figures of a process that lives, of one that ended and was not waited for, of none.
 * SPDX-License-Identifier: MIT */
#include "master/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

/* Some ticks of processor time. */
static void
work(void)
{
	while (clock() < CLOCKS_PER_SEC / 20)
		;
}

static void
test_a_life(void **state)
{
	struct usage u = {.looked_ms = 0}, sum = {.rss_bytes = 5};
	uint64_t ticks;
	pid_t pid = fork();
	siginfo_t info;

	(void)state;
	if (pid == 0) {
		work();
		_exit(0);
	}
	usage_look(&u, getpid(), 76);
	usage_look_closer(&u, getpid(), 77);
	assert_true(u.uss_bytes > 0 && u.uss_bytes <= u.pss_bytes);
	assert_true(u.rss_bytes > 0 && u.rss_bytes < u.vsz_bytes);
	assert_true(
	    u.fds >= 3 && u.max_fds >= u.fds && u.looked_ms == 77 && u.read_ms == 76);
	usage_add(&sum, &u);
	assert_int_equal(sum.rss_bytes, u.rss_bytes + 5);
	/* Ended: what it used until then can be told, what it has is nothing. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	u = (struct usage){.pss_bytes = 9};
	usage_look(&u, pid, 78);
	usage_look_closer(&u, pid, 78);
	ticks = u.user_ticks + u.system_ticks;
	assert_true(ticks >= 3);
	assert_true(u.rss_bytes == 0 && u.vsz_bytes == 0);
	assert_true(u.pss_bytes == 0 && u.uss_bytes == 0 && u.fds == 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	usage_look(&u, pid, 78);
	assert_int_equal(u.user_ticks + u.system_ticks, ticks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
