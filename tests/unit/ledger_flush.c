/* From shared memory into the database: nothing is lost and nothing counts twice, whatever
 * ends in between. SPDX-License-Identifier: MIT */
#include "tests/unit/ledger_bench.h"

static void
test_sums(void **state)
{
	struct acct a, c;
	struct bench b;

	(void)state;
	bench_begin(&b);
	bench_worker(&b, &a, 0, 64);
	bench_worker(&b, &c, 1, 64);
	for (unsigned i = 0; i < 1000; i++) {
		bench_count(&a, "acme", 1, 1000);
		bench_count(&c, "acme", 1, 10);
		bench_count(&c, "beta", 1, 1);
		if (i % 100 == 0)
			bench_flush(&b);
	}
	bench_flush(&b);
	assert_int_equal(bench_bytes(&b, "acme"), 1010000);
	assert_int_equal(bench_bytes(&b, "beta"), 1000);
	/* A ledger that was started anew goes on where the last one ended. */
	bench_count(&a, "acme", 1, 7);
	bench_stop(&b);
	bench_start(&b);
	bench_flush(&b);
	bench_flush(&b);
	assert_int_equal(bench_bytes(&b, "acme"), 1010007);
	assert_int_equal(bench_number(&b, "SELECT sum(requests) FROM usage"), 3001);
	acct_close(&a);
	acct_close(&c);
	bench_end(&b);
}

/* Of a request that takes hours, all but its answer's bytes is counted at its end. */
static void
test_long_requests(void **state)
{
	const uint64_t long_us = 3 * 3600 * 1000000ull;
	struct acct a;
	struct bench b;

	(void)state;
	bench_begin(&b);
	bench_worker(&b, &a, 0, 64);
	bench_count(&a, "acme", 1, 5);
	bench_flush(&b);
	for (unsigned column = 0; column < ACCT_COLUMNS; column++) {
		uint64_t add[ACCT_COLUMNS] = {[ACCT_requests] = 1};

		if (column == ACCT_wall_us || column == ACCT_app_us)
			add[column] = long_us;
		else if (column == ACCT_in_body || column == ACCT_out_undelivered)
			add[column] = 1ull << 36;
		acct_commit(&a, acct_row_find(&a, "acme", 4), add);
		bench_flush(&b);
	}
	assert_int_equal(
	    bench_number(&b, "SELECT sum(requests) FROM usage"), 1 + ACCT_COLUMNS);
	assert_int_equal(bench_number(&b, "SELECT sum(wall_us) FROM usage"), long_us);
	assert_int_equal(b.l.flagged, 0);
	acct_close(&a);
	bench_end(&b);
}

static unsigned
count_files(const struct bench *b, const char *prefix)
{
	DIR *d = opendir(b->dir);
	const struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(d)) != NULL)
		n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

static void
test_retired(void **state)
{
	struct acct a;
	struct bench b;

	(void)state;
	bench_begin(&b);
	bench_worker(&b, &a, 0, 64);
	bench_count(&a, "acme", 1, 5);
	bench_flush(&b);
	bench_count(&a, "acme", 1, 5);
	acct_intend(&a, acct_row_find(&a, "acme", 4), 4096);
	acct_replay(&a);
	acct_close(&a);
	assert_int_equal(count_files(&b, "seg-"), 1);
	bench_flush(&b);
	assert_int_equal(count_files(&b, "seg-"), 0);
	assert_int_equal(bench_number(&b, "SELECT count(*) FROM applied"), 0);
	assert_int_equal(bench_number(&b, "SELECT count(*) FROM segment"), 0);
	assert_int_equal(bench_bytes(&b, "acme"), 10);
	assert_int_equal(bench_number(&b, "SELECT sum(uncertain) FROM usage"), 4096);
	bench_end(&b);
}

/* Killed between the commit and the removal of the file, or behind that. */
static void
test_retired_in_steps(void **state)
{
	struct acct a;
	struct bench b;
	struct err e;

	(void)state;
	bench_begin(&b);
	bench_worker(&b, &a, 0, 64);
	bench_count(&a, "acme", 1, 5);
	acct_replay(&a);
	assert_int_equal(segments_scan(&b.l.segments, &b.l.store, &e), 0);
	assert_int_equal(segments_collect(&b.l.segments, 1, 60, false, &e), 0);
	assert_int_equal(store_begin(&b.l.store, &e), 0);
	assert_int_equal(segments_put(&b.l.segments, &b.l.store, &e), 0);
	assert_int_equal(store_commit(&b.l.store, &e), 0);
	bench_stop(&b);
	assert_int_equal(count_files(&b, "seg-"), 1);
	bench_start(&b);
	assert_int_equal(count_files(&b, "seg-"), 0);
	assert_int_equal(bench_bytes(&b, "acme"), 5);
	/* Its rows in `applied` without its file: of the last boot, or of a closed one. */
	assert_int_equal(
	    store_exec(&b.l.store,
		"INSERT INTO segment VALUES(zeroblob(16), 'another boot', 0);"
		"INSERT INTO applied(seg, row, epoch) VALUES(zeroblob(16), 1, 1)",
		&e),
	    0);
	bench_stop(&b);
	bench_start(&b);
	assert_int_equal(bench_number(&b, "SELECT count(*) FROM applied"), 0);
	acct_close(&a);
	bench_end(&b);
}

static void
test_disk_full(void **state)
{
	struct acct a;
	struct bench b;
	char account[32], sql[64];
	struct err e;

	(void)state;
	bench_begin(&b);
	bench_worker(&b, &a, 0, 4096);
	bench_flush(&b);
	(void)bench_said(&b);
	snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%lld",
	    (long long)bench_number(&b, "PRAGMA page_count"));
	assert_int_equal(store_exec(&b.l.store, sql, &e), 0);
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(account, sizeof(account), "account-%u", i % 1500);
		bench_count(&a, account, 1, 100);
		if (i % 1000 == 999)
			assert_int_equal(ledger_flush(&b.l, false), -1);
	}
	assert_int_equal(b.l.failed_flushes, 3);
	assert_int_equal(b.l.counts.count[LEDGER_flushes_full], 3);
	assert_true(b.l.failing);
	/* One event, not three. */
	bench_said(&b);
	assert_non_null(strstr(b.said, "accounting.disk_full"));
	assert_null(
	    strstr(strstr(b.said, "accounting.disk_full") + 8, "accounting.disk_full"));
	assert_int_equal(store_exec(&b.l.store, "PRAGMA max_page_count=1000000", &e), 0);
	bench_flush(&b);
	assert_non_null(strstr(bench_said(&b), "accounting.recovered"));
	assert_int_equal(bench_number(&b, "SELECT sum(out_body) FROM usage"), 300000);
	assert_int_equal(bench_number(&b, "SELECT sum(out_body) FROM outbox"), 300000);
	assert_int_equal(b.l.segments.n_pending, 0);
	acct_close(&a);
	bench_end(&b);
}

static void
damage(const struct bench *b, off_t at)
{
	static const char garbage[512] = "this is no database";
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/ledger.db", b->dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, garbage, sizeof(garbage), at), sizeof(garbage));
	close(fd);
}

static void
test_corrupt(void **state)
{
	struct acct a;
	struct bench b;

	(void)state;
	bench_begin(&b);
	bench_worker(&b, &a, 0, 64);
	bench_count(&a, "acme", 1, 1000);
	bench_flush(&b);
	bench_stop(&b);
	damage(&b, 0);
	bench_count(&a, "acme", 1, 23);
	bench_start(&b);
	assert_non_null(strstr(bench_said(&b), "accounting.corrupt"));
	bench_flush(&b);
	/* What the old one has is not counted again. */
	assert_int_equal(bench_bytes(&b, "acme"), 23);
	assert_int_equal(count_files(&b, "ledger.db.corrupt-"), 1);
	acct_close(&a);
	bench_end(&b);
}

static void
test_hostile(void **state)
{
	struct acct a;
	struct bench b;
	uint32_t row;

	(void)state;
	bench_begin(&b);
	bench_worker(&b, &a, 0, 64);
	bench_count(&a, "acme", 1, 1000);
	bench_count(&a, "beta", 1, 1);
	bench_flush(&b);
	(void)bench_said(&b);
	row = acct_row_find(&a, "acme", 4);
	/* Backwards; then to more than any network carries. */
	a.row[row].value[ACCT_out_body] = 10;
	a.row[row].seq += 2;
	bench_flush(&b);
	assert_non_null(strstr(bench_said(&b), "accounting.rejected"));
	a.row[row].value[ACCT_out_body] = 1ull << 60;
	a.row[row].seq += 2;
	bench_flush(&b);
	assert_null(strstr(bench_said(&b), "accounting.rejected"));
	bench_count(&a, "beta", 1, 1);
	a.head->used = UINT32_MAX;
	bench_flush(&b);
	assert_int_equal(bench_bytes(&b, "acme"), 1000);
	assert_int_equal(bench_bytes(&b, "beta"), 2);
	/* What it counts from there on is counted, also by the next ledger. */
	bench_count(&a, "acme", 1, 5);
	bench_flush(&b);
	bench_count(&a, "acme", 1, 7);
	bench_stop(&b);
	bench_start(&b);
	assert_int_equal(bench_bytes(&b, "acme"), 1012);
	acct_close(&a);
	bench_end(&b);
}

/* A row that was given to another account counts from nothing. */
static void
test_recycled(void **state)
{
	struct acct a;
	struct bench b;

	(void)state;
	bench_begin(&b);
	bench_worker(&b, &a, 0, ACCT_ROWS_MIN);
	for (unsigned i = 0; i < ACCT_ROWS_MIN - ACCT_ROWS_RESERVED; i++)
		bench_count(&a, (char[]){(char)('a' + i), '\0'}, 1, 10);
	bench_flush(&b);
	a.now_ns += 2 * ACCT_IDLE_NS;
	bench_count(&a, "new", 1, 3);
	bench_flush(&b);
	bench_stop(&b);
	bench_start(&b);
	bench_flush(&b);
	assert_int_equal(a.head->recycled, 1);
	assert_int_equal(bench_bytes(&b, "new"), 3);
	assert_int_equal(bench_number(&b, "SELECT sum(out_body) FROM usage"), 133);
	acct_close(&a);
	bench_end(&b);
}

/* Nobody looked for a while: what is found belongs to no minute in between, and says so. */
static void
test_late(void **state)
{
	struct acct a;
	struct bench b;
	struct err e;

	(void)state;
	bench_begin(&b);
	bench_worker(&b, &a, 0, 64);
	bench_count(&a, "acme", 1, 5);
	bench_flush(&b);
	assert_int_equal(store_set_meta(&b.l.store, "last_flush", 1000000000, &e), 0);
	bench_count(&a, "acme", 1, 7);
	bench_stop(&b);
	bench_start(&b);
	assert_int_equal(b.l.counts.count[LEDGER_late_bytes], 7);
	bench_count(&a, "acme", 1, 1);
	bench_flush(&b);
	assert_int_equal(
	    bench_number(&b, "SELECT sum(out_body) FROM outbox WHERE late"), 8);
	assert_int_equal(bench_bytes(&b, "acme"), 13);
	acct_close(&a);
	bench_end(&b);
}

static void
test_clock(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	(void)bench_said(&b);
	ledger_on_clock(&b.l);
	assert_null(strstr(bench_said(&b), "clock_jump"));
	b.l.clock_offset_ns += 3600000000000;
	ledger_on_clock(&b.l);
	assert_non_null(
	    strstr(bench_said(&b), "\"accounting.clock_jump\",\"data\":{\"by_s\":-3"));
	bench_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sums),
	    cmocka_unit_test(test_long_requests),
	    cmocka_unit_test(test_retired),
	    cmocka_unit_test(test_retired_in_steps),
	    cmocka_unit_test(test_disk_full),
	    cmocka_unit_test(test_corrupt),
	    cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_recycled),
	    cmocka_unit_test(test_late),
	    cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
