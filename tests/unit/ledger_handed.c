/* Tables that are in no directory: handed over with their memory, counted like files, seen
 * to their end also when the master is killed. SPDX-License-Identifier: MIT */
#include "common/handing.h"
#include "common/quota.h"
#include "tests/unit/ledger_bench.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define NO_FD (-1)

/* As the master does it: one line, and the descriptor with its beginning. */
static void
send_table(const struct bench *b, const char *name, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char line[200];
	struct iovec data = {.iov_base = line};
	struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1};
	int n = snprintf(line, sizeof(line),
	    "{\"method\":\"" LEDGER_TABLE "\",\"params\":{\"name\":\"%s\"}}\n", name);

	data.iov_len = (size_t)n;
	if (fd != NO_FD) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
		    .cmsg_level = SOL_SOCKET,
		    .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(b->master, &m, 0), n);
}

static void
on_line(void *ctx, json_t *line)
{
	ledger_take_table(ctx, line);
}

static void
read_lines(struct bench *b)
{
	for (int i = 0; i < 20; i++)
		(void)!wire_read(&b->l.wire, on_line, &b->l);
}

/* A table in memory; the caller counts in it. */
static int
make_table(struct acct *a, unsigned slot, char name[ACCT_FILE_MAX])
{
	const unsigned id[3] = {slot, 1, 1};
	struct err e = {""};
	int fd;

	if (acct_create(a, -1, 64, id, &fd, &e) < 0 || acct_begin(a, &e) < 0)
		fail_msg("%s", e.text);
	acct_file_name(a->head, name);
	return fd;
}

static bool
was_finished(struct bench *b, const char *name)
{
	char what[160];

	snprintf(what, sizeof(what), "\"" LEDGER_TABLE_DONE "\",\"data\":{\"name\":\"%s\"}",
	    name);
	return strstr(bench_said(b), what) != NULL;
}

static void
test_counted(void **state)
{
	char name[3][ACCT_FILE_MAX];
	struct acct a[3];
	struct bench b;
	int fd[3];

	(void)state;
	bench_begin(&b);
	for (unsigned i = 0; i < 3; i++) {
		fd[i] = make_table(&a[i], i, name[i]);
		bench_count(&a[i], "acme", 1, 1000u << i);
		send_table(&b, name[i], fd[i]);
		close(fd[i]);
	}
	read_lines(&b);
	assert_int_equal(segments_in_memory(&b.l.segments), 3);
	bench_flush(&b);
	assert_int_equal(bench_bytes(&b, "acme"), 7000);
	bench_count(&a[1], "acme", 1, 5);
	acct_replay(&a[1]);
	bench_flush(&b);
	assert_int_equal(bench_bytes(&b, "acme"), 7005);
	assert_true(was_finished(&b, name[1]));
	assert_int_equal(segments_in_memory(&b.l.segments), 2);
	assert_int_equal(bench_number(&b, "SELECT count(DISTINCT seg) FROM applied"), 2);
	for (unsigned i = 0; i < 3; i++)
		acct_close(&a[i]);
	bench_end(&b);
}

/* The next ledger gets it again. */
static void
test_handed_again(void **state)
{
	char name[ACCT_FILE_MAX];
	struct acct a;
	struct bench b;
	int fd;

	(void)state;
	bench_begin(&b);
	fd = make_table(&a, 0, name);
	bench_count(&a, "acme", 1, 10);
	send_table(&b, name, fd);
	read_lines(&b);
	bench_flush(&b);
	bench_count(&a, "acme", 1, 7);
	bench_stop(&b);
	bench_start(&b);
	send_table(&b, name, fd);
	read_lines(&b);
	bench_flush(&b);
	bench_flush(&b);
	assert_int_equal(bench_bytes(&b, "acme"), 17);
	close(fd);
	acct_close(&a);
	bench_end(&b);
}

/* Killed when the end of a table was in the database, and in no other place yet. */
static void
test_killed_before_the_end_was_said(void **state)
{
	char name[ACCT_FILE_MAX];
	struct acct a;
	struct bench b;
	struct err e;
	int fd;

	(void)state;
	bench_begin(&b);
	fd = make_table(&a, 0, name);
	bench_count(&a, "acme", 1, 10);
	acct_replay(&a);
	send_table(&b, name, fd);
	read_lines(&b);
	assert_int_equal(segments_scan(&b.l.segments, &b.l.store, &e), 0);
	assert_int_equal(segments_collect(&b.l.segments, 1, 60, false, &e), 0);
	assert_int_equal(store_begin(&b.l.store, &e), 0);
	assert_int_equal(segments_put(&b.l.segments, &b.l.store, &e), 0);
	assert_int_equal(store_commit(&b.l.store, &e), 0);
	bench_stop(&b);
	/* It is told how many it will get: until then nothing is taken for gone. */
	b.handed = 1;
	bench_start(&b);
	bench_flush(&b);
	assert_int_equal(bench_number(&b, "SELECT count(*) FROM segment"), 1);
	send_table(&b, name, fd);
	read_lines(&b);
	bench_flush(&b);
	assert_true(was_finished(&b, name));
	assert_int_equal(bench_bytes(&b, "acme"), 10);
	assert_int_equal(bench_number(&b, "SELECT count(*) FROM segment"), 0);
	assert_int_equal(bench_number(&b, "SELECT count(*) FROM applied"), 0);
	close(fd);
	acct_close(&a);
	bench_end(&b);
}

/* Without its descriptor a table would be missing for ever: the next ledger gets all. */
static void
test_no_descriptor(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	send_table(&b, "seg-0-1-00112233445566778899aabbccddeeff", NO_FD);
	read_lines(&b);
	assert_true(b.l.wire.broken);
	bench_end(&b);
}

/* Counts once more when its master is gone, and is killed inside a send. */
static pid_t
start_worker(int fd, int go, int master)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct acct own;
		struct err e;
		char byte;

		close(WIRE_FD);
		close(master);
		if (acct_open(&own, fd, ACCT_WRITE, &e) < 0 || acct_begin(&own, &e) < 0)
			_exit(1);
		bench_count(&own, "acme", 1, 1);
		(void)!read(go, &byte, 1);
		(void)!poll(NULL, 0, 300);
		bench_count(&own, "acme", 1, 500);
		acct_intend(&own, acct_row_find(&own, "acme", 4), 4096);
		raise(SIGKILL);
	}
	return pid;
}

static void
test_outlives_the_master(void **state)
{
	const unsigned id[3] = {0, 1, 1};
	char name[ACCT_FILE_MAX];
	struct acct a;
	struct bench b;
	int fd, go[2];
	struct err e;
	pid_t pid;

	(void)state;
	bench_begin(&b);
	assert_int_equal(pipe(go), 0);
	assert_int_equal(acct_create(&a, -1, 64, id, &fd, &e), 0);
	acct_file_name(a.head, name);
	/* Nothing it would have to wait for: it does not. */
	ledger_outlive_master(&b.l);
	send_table(&b, name, fd);
	read_lines(&b);
	pid = start_worker(fd, go[0], b.master);
	close(b.master);
	close(fd);
	while (atomic_load(&a.head->pid) == 0)
		(void)!poll(NULL, 0, 1);
	acct_close(&a);
	/* Nobody but the ledger and the worker has it any more. */
	assert_true(wire_is_orphaned());
	assert_int_equal(write(go[1], "", 1), 1);
	ledger_outlive_master(&b.l);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), pid);
	assert_int_equal(segments_in_memory(&b.l.segments), 0);
	assert_int_equal(bench_bytes(&b, "acme"), 501);
	assert_int_equal(bench_number(&b, "SELECT sum(uncertain) FROM usage"), 4096);
	b.master = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(go[0]);
	close(go[1]);
	bench_end(&b);
}

/* A master that just says that it has nothing more still holds everything. */
static void
test_a_half_closed_stream(void **state)
{
	char name[ACCT_FILE_MAX];
	struct acct a;
	struct bench b;
	int fd;

	(void)state;
	bench_begin(&b);
	fd = make_table(&a, 0, name);
	send_table(&b, name, fd);
	read_lines(&b);
	assert_int_equal(shutdown(b.master, SHUT_WR), 0);
	assert_int_equal(wire_read(&b.l.wire, on_line, &b.l), -1);
	assert_false(wire_is_orphaned());
	ledger_outlive_master(&b.l);
	assert_int_equal(segments_in_memory(&b.l.segments), 1);
	close(fd);
	acct_close(&a);
	bench_end(&b);
}

/* The table of quotas without a file: workers can read it, and no more. */
static void
test_quotas_in_memory(void **state)
{
	struct err e = {""};
	struct quota workers, own;
	struct quota_view view = {.state = QUOTA_DENY, .limit = 5};
	char path[40];
	int reader, fd;

	(void)state;
	fd = quota_memory(&reader, &e);
	assert_true(fd >= 0);
	assert_int_equal(quota_open(&own, fd, true, &e), 0);
	assert_int_equal(quota_open(&workers, reader, true, &e), -1);
	assert_int_equal(quota_open(&workers, reader, false, &e), 0);
	quota_begin(&own);
	assert_true(quota_add(&own, "acme", 4, &view));
	quota_publish(&own);
	view = (struct quota_view){.state = QUOTA_OK};
	quota_find(&workers, "acme", 4, &view);
	assert_int_equal(view.state, QUOTA_DENY);
	if (geteuid() == 0) {
		pid_t pid;
		int status;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", reader);
		pid = fork();
		if (pid == 0) /* another user cannot open it for writing by its name */
			_exit(setuid(65534) == 0 && open(path, O_RDWR) < 0 ? 0 : 1);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	quota_close(&own);
	quota_close(&workers);
	close(fd);
	close(reader);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_counted),
	    cmocka_unit_test(test_handed_again),
	    cmocka_unit_test(test_killed_before_the_end_was_said),
	    cmocka_unit_test(test_no_descriptor),
	    cmocka_unit_test(test_outlives_the_master),
	    cmocka_unit_test(test_a_half_closed_stream),
	    cmocka_unit_test(test_quotas_in_memory),
	};

	return cmocka_run_group_tests_name("ledger_handed", tests, NULL, NULL);
}
