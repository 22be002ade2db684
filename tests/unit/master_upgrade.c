/* An upgrade in place without its exec: what one master writes another one goes on with.
 * SPDX-License-Identifier: MIT */
#include "upgrade_pair.h"

/* What a descriptor is, whatever its number. */
static int
identify_fd(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? -2 : (int)st.st_ino;
}

static void
test_there_and_back(void **state)
{
	json_t *before = written_by(&old), *handed = written_by(&old), *after, *procs;

	(void)state;
	change_numbers(handed, fd_keys, copy_fd);
	if (take_over(handed) < 0)
		fail_msg("%s", e.text);
	after = written_by(&next);
	change_numbers(before, fd_keys, identify_fd);
	change_numbers(after, fd_keys, identify_fd);
	/* Each one is put before the others. */
	procs = json_array();
	for (size_t i = json_array_size(json_object_get(after, "procs")); i-- > 0;)
		json_array_append(
		    procs, json_array_get(json_object_get(after, "procs"), i));
	json_object_set_new(after, "procs", procs);
	if (!json_equal(before, after)) {
		json_dumpf(before, stderr, JSON_INDENT(1));
		json_dumpf(after, stderr, JSON_INDENT(1));
		fail_msg("not the same");
	}
	assert_true(next.up);
	assert_true(next.listeners.v[0].made && next.listeners.v[0].stored);
	assert_int_equal(next.events.seq, old.events.seq);
	assert_int_equal(next.fleet.gen->number, 5);
	assert_string_equal(
	    next.fleet.gen->heritage.conf.origin[CONF_workers], "shop.json:1:2");
	assert_int_equal(next.fleet.slots[0]->serving->pid, children[0]);
	assert_int_equal(next.fleet.slots[1]->serving->gen->number, 4);
	assert_int_equal(next.minder->totals.dead.stats[STAT_requests], 123456);
	assert_int_equal(next.minder->crashes.total, 71);
	assert_int_equal(next.fleet.slots[1]->base.requests, 41);
	assert_int_equal(next.fleet.tally.spawns[SPAWN_RELOAD], 12);
	assert_int_equal(next.fleet.tally.exits[PROC_CRASHED][SIGKILL], 1);
	assert_int_equal(next.fleet.tally.exits[PROC_WAS_STUCK][SIGRTMIN + 3], 1);
	assert_int_equal(next.fleet.tally.exits[PROC_FAILED][0], 1);
	assert_int_equal(jobs_running(&next.jobs)->kind, JOB_UPGRADE);
	assert_true(fcntl(next.listeners.v[0].fd, F_GETFD) & FD_CLOEXEC);
	json_decref(before);
	json_decref(handed);
	json_decref(after);
	for (struct proc *p = next.fleet.procs; p != NULL; p = p->next)
		p->pid = 0;
	next.fleet.gen->mold->pid = 0;
	finish(&next);
	close_range(FIRST_COPY, ~0u, 0);
}

static unsigned
count_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
test_no_state(void **state)
{
	static const char *const texts[] = {
	    "", "{", "null", "[]", "{}", "\xff", "{\"shoal\":\"1\",\"shoal\":\"1\"}"};
	json_t *v = written_by(&old);
	char *text = json_dumps(v, JSON_COMPACT);
	size_t n = strlen(text);
	unsigned before = count_descriptors();
	int fd;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		e.text[0] = '\0';
		assert_null(read_memfd(to_memfd(texts[i], strlen(texts[i]))));
		assert_true(e.text[0] != '\0');
	}
	for (size_t cut = 1; cut < n; cut += 97)
		assert_null(read_memfd(to_memfd(text, n - cut)));
	fd = to_memfd(text, n);
	assert_int_equal(ftruncate(fd, UPGRADE_STATE_MAX + 1), 0);
	assert_null(read_memfd(fd));
	assert_non_null(strstr(e.text, "at most 67108864 are read"));
	assert_null(upgrade_state_read(99999, &e));
	assert_int_equal(count_descriptors(), before);
	free(text);
	json_decref(v);
}

static void
test_finding_it(void **state)
{
	static const char *const wrong[] = {
	    "", "x", "-1", "1", "5x", "99999", "99999999999"};
	unsigned before = count_descriptors();
	char number[16];
	json_t *v;

	(void)state;
	assert_null(adopt_find(&e));
	assert_string_equal(e.text, "");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		setenv(UPGRADE_FD_VARIABLE, wrong[i], 1);
		assert_null(adopt_find(&e));
		assert_non_null(strstr(e.text, "no open descriptor"));
		assert_null(getenv(UPGRADE_FD_VARIABLE));
		assert_int_equal(adopt_check(wrong[i]), EXIT_CONFIG);
	}
	snprintf(number, sizeof(number), "%d", upgrade_state_write(&old, &e));
	assert_int_equal(adopt_check(number), EXIT_STOPPED);
	setenv(UPGRADE_FD_VARIABLE, number, 1);
	v = adopt_find(&e);
	assert_non_null(v);
	assert_null(getenv(UPGRADE_FD_VARIABLE));
	json_decref(v);
	assert_int_equal(count_descriptors(), before);
}

static unsigned n_kept;

static int
keep_one(int fd)
{
	n_kept++;
	return fcntl(fd, F_SETFD, 0);
}

static int
check_kept(int fd)
{
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_int_equal(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
	n_kept--;
	return fd;
}

/* Exactly what is written into the state survives the exec. */
static void
test_each_descriptor(void **state)
{
	json_t *v = written_by(&old);

	(void)state;
	assert_int_equal(upgrade_each_fd(&old, keep_one), 0);
	change_numbers(v, fd_keys, check_kept);
	assert_int_equal(n_kept, 0);
	json_decref(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_no_state),
	    cmocka_unit_test(test_finding_it),
	    cmocka_unit_test(test_each_descriptor),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
