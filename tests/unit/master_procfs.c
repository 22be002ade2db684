/* Figures of a process out of /proc: parsed, and of this very process.
 * SPDX-License-Identifier: MIT */
#include "master/procfs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>

#include <cmocka.h>

static void
test_stat(void **state)
{
	static const struct {
		struct str text;
		bool good;
	} cases[] = {
	    {STR("9 (a) b) R 1 1 1 0 -1 4 1 0 0 0 250 50 7 7 20 0 3 0 99 8192 2 18446744073"
		 "709551615 1"),
		true},
	    {STR("9 (a) R 1 1 1 0 -1 4 1 0 0 0 250 50 7 7 20 0 3 0 99 8192"), false},
	    {STR("9 (a) R 1 1 1 0 -1 4 1 0 0 0 x 50 7 7 20 0 3 0 99 8192 2 1"), false},
	    {STR(""), false},
	};
	struct procfs_memory memory;
	struct procfs_stat got;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(procfs_parse_usage(cases[i].text, &got), cases[i].good);
		if (!cases[i].good)
			continue;
		assert_int_equal(got.user_ticks, 250);
		assert_int_equal(got.system_ticks, 50);
		assert_int_equal(got.vsz_bytes, 8192);
		assert_int_equal(got.threads, 3);
		assert_int_equal(got.rss_bytes, 2 * sysconf(_SC_PAGESIZE));
	}
	assert_true(procfs_parse_memory(
	    STR("0-f ---p 0 00:00 0 [rollup]\nRss: 9 kB\nPss: 7 kB\nPss_Dirty: 1 kB\n"
		"Private_Clean: 2 kB\nPrivate_Dirty: 3 kB\n"),
	    &memory));
	assert_int_equal(memory.pss_bytes, 7 * 1024);
	assert_int_equal(memory.uss_bytes, 5 * 1024);
	assert_false(procfs_parse_memory(STR("Pss: 7 kB\nPrivate_Clean: 2 kB\n"), &memory));
}

static void
test_nic(void **state)
{
	static const struct {
		struct str text;
		int64_t in, out;
	} cases[] = {
	    {STR("Inter-|   Receive | Transmit\n face |bytes packets |bytes\n"
		 "    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n"
		 "  eth0: 100 2 0 0 0 0 0 0 40 1 0 0 0 0 0 0\n"
		 "wlan0:7 2 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n"),
		107, 45},
	    {STR("    lo: 9 1 0 0 0 0 0 0 9 1\n"), -1, -1},
	    {STR("  eth0: 100 2 0\n"), -1, -1},
	    {STR("  eth0: 100 2 0 0 0 0 0 0 40"), -1, -1}, /* cut off */
	    {STR(""), -1, -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct procfs_nic nic = procfs_parse_nic(cases[i].text);

		assert_int_equal(nic.in_bytes, cases[i].in);
		assert_int_equal(nic.out_bytes, cases[i].out);
	}
}

static void
test_lines(void **state)
{
	static const struct str events = STR("low 0\noom 3\noom_kill 12\n");

	(void)state;
	assert_int_equal(procfs_number(events, "oom_kill "), 12);
	assert_int_equal(procfs_number(events, "oom "), 3);
	assert_int_equal(procfs_number(events, "max "), -1);
	assert_int_equal(procfs_number(STR("Rss: 7 kB\nPss:     4711 kB\n"), "Pss:"), 4711);
	assert_int_equal(procfs_number(STR("Pss: kB"), "Pss:"), -1);
	assert_int_equal(procfs_number(STR("Pss: 99999999999999999999"), "Pss:"), -1);
	assert_int_equal(procfs_parse_cgroup(STR("1:cpu:/x\n0::/a.slice/b\n")).n, 10);
	assert_int_equal(procfs_parse_cgroup(STR("1:cpu:/x\n")).n, 0);
	assert_true(procfs_parse_catches(STR("Name: x\nSigCgt:\t0000000000000202\n"), 2));
	assert_false(procfs_parse_catches(STR("Name: x\nSigCgt:\t0000000000000202\n"), 3));
	assert_true(procfs_parse_catches(STR("SigCgt:\t8000000000000000\n"), 64));
	assert_false(procfs_parse_catches(STR("SigIgn:\tff\n"), 1));
}

static void
on_signal(int sig)
{
	(void)sig;
}

static void
test_own_process(void **state)
{
	pid_t me = getpid();
	int fds = procfs_fds(me), fd = open("/dev/null", O_RDONLY);
	struct procfs_memory memory;
	struct procfs_stat stat;
	struct rlimit limit;

	(void)state;
	assert_int_equal(procfs_fds(me), fds + 1);
	close(fd);
	assert_true(procfs_rss(me) > 100000);
	assert_true(procfs_memory(me, &memory));
	assert_true(memory.pss_bytes > 10000 && memory.pss_bytes <= procfs_rss(me) * 2);
	assert_true(memory.uss_bytes > 10000 && memory.uss_bytes <= memory.pss_bytes);
	assert_true(procfs_stat(me, &stat) && stat.vsz_bytes >= stat.rss_bytes);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(procfs_max_fds(me), limit.rlim_cur);
	assert_true(procfs_threads(me) >= 1);
	assert_false(procfs_catches(me, SIGRTMIN + 4));
	signal(SIGRTMIN + 4, on_signal);
	assert_true(procfs_catches(me, SIGRTMIN + 4));
	assert_int_equal(procfs_rss(-5), -1);
	assert_int_equal(procfs_fds(-5), -1);
	assert_int_equal(procfs_max_fds(-5), -1);
	assert_false(procfs_stat(-5, &stat));
	assert_false(procfs_memory(-5, &memory));
	assert_int_equal(procfs_threads(-5), -1);
	assert_true(procfs_oom_kills() >= -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stat),
	    cmocka_unit_test(test_nic),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_own_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
