/* Tables of accounts: names, rows, what is refused, and rows given to other accounts.
 * SPDX-License-Identifier: MIT */
#include "common/acct.h"
#include "common/siphash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include <cmocka.h>

static const unsigned id[3] = {2, 7, 3};

static uint64_t
openssl_siphash(const uint64_t key[2], const uint8_t *bytes, size_t n)
{
	unsigned c = 1, d = 3;
	size_t size = 8;
	const OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t("size", &size),
	    OSSL_PARAM_construct_uint("c-rounds", &c),
	    OSSL_PARAM_construct_uint("d-rounds", &d), OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
	uint64_t out = 0;

	assert_non_null(ctx);
	assert_int_equal(EVP_MAC_init(ctx, (const unsigned char *)key, 16, params), 1);
	assert_int_equal(EVP_MAC_update(ctx, bytes, n), 1);
	assert_int_equal(EVP_MAC_final(ctx, (unsigned char *)&out, &size, sizeof(out)), 1);
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	return out;
}

static void
test_siphash(void **state)
{
	const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	uint8_t bytes[64];

	(void)state;
	for (size_t n = 0; n < sizeof(bytes); n++) {
		bytes[n] = (uint8_t)(n * 37);
		assert_int_equal(siphash(key, bytes, n), openssl_siphash(key, bytes, n));
	}
}

static void
test_names(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
	    {"", ""},
	    {"acme", "acme"},
	    {"two words", "two words"},
	    {"M\xc3\xbcller", "M\xc3\xbcller"},
	    {"~none", "%7Enone"},
	    {"a~b", "a~b"},
	    {"50%", "50%25"},
	    {"a\nb", "a%0Ab"},
	    {"\xc2\x85", "%C2%85"},
	    {"\xff", "%FF"},
	    {"\xc0\xaf", "%C0%AF"},
	    {"\xed\xa0\x80", "%ED%A0%80"},
	    {"\xf4\x90\x80\x80", "%F4%90%80%80"},
	    {"\xe2\x82", "%E2%82"},
	    {"x~0123456789abcdef", "x%7E0123456789abcdef"},
	    {"x~0123456789abcdefg", "x~0123456789abcdefg"},
	};
	char to[ACCT_KEY_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = acct_key_fold(cases[i].from, strlen(cases[i].from), to);

		assert_int_equal(n, strlen(cases[i].to));
		assert_memory_equal(to, cases[i].to, n);
	}
	assert_int_equal(acct_key_fold("a\0b", 3, to), 5);
	assert_memory_equal(to, "a%00b", 5);
}

static void
test_long_names(void **state)
{
	char from[1000], to[ACCT_KEY_MAX], other[ACCT_KEY_MAX];

	(void)state;
	memset(from, 'x', sizeof(from));
	assert_int_equal(acct_key_fold(from, 64, to), 64);
	assert_memory_equal(to, from, 64);
	assert_int_equal(acct_key_fold(from, 65, to), 64);
	assert_memory_equal(to, from, 47);
	assert_int_equal(to[47], '~');
	assert_int_equal(acct_key_fold(from, 66, other), 64);
	assert_memory_not_equal(to, other, 64);
	/* Its short form, given as a name, is another account's. */
	assert_int_equal(acct_key_fold(to, 64, other), 64);
	assert_memory_not_equal(to, other, 64);
	/* A character is kept whole or not at all. */
	memcpy(from + 46, "\xe2\x82\xac", 3);
	assert_int_equal(acct_key_fold(from, 100, to), 46 + 17);
	assert_int_equal(to[46], '~');
	for (size_t n = 0; n < sizeof(from); n++) {
		from[n] = (char)(n * 101);
		assert_in_range(acct_key_fold(from, n, to), n > 0, ACCT_KEY_MAX);
	}
}

static struct acct
table_new(unsigned rows, int *fd)
{
	struct acct a;
	struct err e;

	assert_int_equal(acct_create(&a, -1, rows, id, fd, &e), 0);
	assert_int_equal(acct_begin(&a, &e), 0);
	return a;
}

static void
add_requests(struct acct *a, uint32_t row, uint64_t n)
{
	const uint64_t add[ACCT_COLUMNS] = {[ACCT_requests] = n, [ACCT_out_body] = 10 * n};

	acct_commit(a, row, add);
}

static void
test_rows(void **state)
{
	struct acct a, reader;
	struct acct_view v;
	struct err e;
	int fd;
	uint32_t acme, other;

	(void)state;
	a = table_new(100, &fd);
	assert_int_equal(acct_open(&reader, fd, ACCT_READ, &e), 0);
	assert_int_equal(a.head->pid, getpid());
	assert_true(a.head->pid_start > 0);
	assert_int_equal(acct_used(&reader), ACCT_ROWS_RESERVED);
	acme = acct_row_find(&a, "acme", 4);
	other = acct_row_find(&a, "acm", 3);
	assert_int_equal(acme, 3);
	assert_int_equal(other, 4);
	assert_int_equal(acct_row_find(&a, "acme", 4), acme);
	assert_int_equal(acct_row_find(&a, "", 0), ACCT_ROW_NONE);
	assert_true(acct_row_is(&a, acme, "acme", 4));
	assert_false(acct_row_is(&a, acme, "acm", 3));
	add_requests(&a, acme, 1);
	add_requests(&a, acme, 2);
	assert_true(acct_read(&reader, acme, &v));
	assert_string_equal(v.key, "acme");
	assert_int_equal(v.value[ACCT_requests], 3);
	assert_int_equal(v.value[ACCT_out_body], 30);
	assert_int_equal(v.value[ACCT_uncertain], 0);
	assert_int_equal(v.seq, acct_row_seq(&reader, acme));
	assert_true(acct_read(&reader, ACCT_ROW_OVERFLOW, &v));
	assert_string_equal(v.key, ACCT_NAME_OVERFLOW);
	assert_false(acct_read(&reader, 5, &v));
	assert_false(acct_read(&reader, UINT32_MAX, &v));
	acct_close(&reader);
	acct_close(&a);
	acct_close(&a);
	close(fd);
}

/* More accounts than rows: nothing is lost, the rest is together. */
static void
test_overflow(void **state)
{
	struct acct a;
	struct acct_view v;
	uint64_t sum = 0;
	int fd;

	(void)state;
	a = table_new(256, &fd);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 1000; i++) {
			char key[16];
			int n = snprintf(key, sizeof(key), "host-%d", i);

			add_requests(&a, acct_row_find(&a, key, (size_t)n), 1);
		}
	/* An eighth is kept for accounts that must not get lost. */
	assert_int_equal(acct_used(&a), 224);
	assert_int_equal(a.head->overflowed, 2 * (1000 - 221));
	for (uint32_t row = 0; row < 256; row++)
		if (acct_read(&a, row, &v))
			sum += v.value[ACCT_requests];
	assert_int_equal(sum, 2000);
	assert_true(acct_read(&a, ACCT_ROW_OVERFLOW, &v));
	assert_int_equal(v.value[ACCT_requests], 2 * (1000 - 221));
	for (int i = 0; i < 40; i++) {
		char key[16];
		int n = snprintf(key, sizeof(key), "vip-%d", i);
		uint32_t row = acct_row_find_kept(&a, key, (size_t)n);

		assert_true(i < 32 ? row == 224u + (uint32_t)i : row == ACCT_ROW_OVERFLOW);
		assert_true(i >= 32 || acct_row_find(&a, key, (size_t)n) == row);
	}
	assert_int_equal(acct_used(&a), 256);
	acct_close(&a);
	close(fd);
}

static uint32_t
find_n(struct acct *a, int i)
{
	char key[16];
	int n = snprintf(key, sizeof(key), "k%d", i);

	return acct_row_find(a, key, (size_t)n);
}

/* A row goes to another account when all of it is applied, it was long still, and nobody
 * holds it. */
static void
test_recycling(void **state)
{
	struct acct a, ledger;
	struct acct_view v, applied;
	struct err e;
	uint32_t row = 5;
	int fd;

	(void)state;
	a = table_new(16, &fd);
	assert_int_equal(acct_open(&ledger, fd, ACCT_APPLY, &e), 0);
	for (int i = 0; i < 11; i++)
		add_requests(&a, find_n(&a, i), 1);
	assert_int_equal(find_n(&a, 100), ACCT_ROW_OVERFLOW);
	assert_true(acct_read(&ledger, row, &v));
	acct_applied_set(&ledger, row, &v);
	assert_true(acct_applied_get(&a, row, &applied));
	assert_int_equal(applied.value[ACCT_out_body], 10);
	assert_int_equal(applied.epoch, 1);
	assert_int_equal(find_n(&a, 100), ACCT_ROW_OVERFLOW); /* not still for long */
	a.now_ns = 2 * ACCT_IDLE_NS;
	acct_row_hold(&a, row);
	assert_int_equal(find_n(&a, 100), ACCT_ROW_OVERFLOW);
	acct_row_release(&a, row);
	a.now_ns += 2000000000;
	assert_int_equal(find_n(&a, 100), row);
	assert_true(acct_read(&ledger, row, &v));
	assert_string_equal(v.key, "k100");
	assert_int_equal(v.epoch, 2);
	assert_int_equal(v.value[ACCT_requests], 0);
	assert_int_equal(a.head->recycled, 1);
	/* All others are still found, and the one it was is gone. */
	for (int i = 0; i < 11; i++)
		assert_int_equal(find_n(&a, i), i == 2 ? ACCT_ROW_OVERFLOW : 3 + i);
	add_requests(&a, row, 1);
	a.now_ns += 2 * ACCT_IDLE_NS;
	assert_int_equal(find_n(&a, 101), ACCT_ROW_OVERFLOW); /* not applied */
	acct_close(&ledger);
	acct_close(&a);
	close(fd);
}

/* Many keys coming and going: the index never loses one nor keeps one too many. */
static void
test_churn(void **state)
{
	struct acct a, ledger;
	struct acct_view v;
	struct err e;
	int fd;

	(void)state;
	a = table_new(64, &fd);
	assert_int_equal(acct_open(&ledger, fd, ACCT_APPLY, &e), 0);
	for (int i = 0; i < 20000; i++) {
		int k = i * 7919 % 300;
		uint32_t row = find_n(&a, k);
		char key[16];

		assert_int_not_equal(row, ACCT_ROW_OVERFLOW);
		assert_true(acct_read(&ledger, row, &v));
		snprintf(key, sizeof(key), "k%d", k);
		assert_string_equal(v.key, key);
		acct_applied_set(&ledger, row, &v);
		a.now_ns += ACCT_IDLE_NS / 8;
	}
	acct_close(&ledger);
	acct_close(&a);
	close(fd);
}

static void
poke(int fd, size_t at, const void *bytes, size_t n)
{
	assert_int_equal(pwrite(fd, bytes, n, (off_t)at), n);
}

#define POKE(member, value, why)                                                           \
	{                                                                                  \
		offsetof(struct acct_head, member),                                        \
		    sizeof(((struct acct_head *)0)->member), value, why                    \
	}

static void
test_refused(void **state)
{
	static const struct {
		size_t at, n;
		uint64_t value;
		const char *why;
	} cases[] = {
	    POKE(magic, 0, "no table"),
	    POKE(layout, 2, "another version"),
	    POKE(size, 100, "another version"),
	    POKE(row_size, 128, "another version"),
	    POKE(applied_size, 0, "another version"),
	    POKE(rows, 0, "rows or columns"),
	    POKE(rows, 0xffffffff, "rows or columns"),
	    POKE(rows, 32, "not what its head says"),
	    POKE(columns, 20, "rows or columns"),
	    POKE(columns, 0, "rows or columns"),
	    POKE(rows_at, 0, "not what its head says"),
	    POKE(applied_at, 1 << 20, "not what its head says"),
	};
	char noise[24];
	struct acct a, other;
	struct err e;
	int fd, empty = memfd_create("empty", MFD_CLOEXEC);

	(void)state;
	memset(noise, 'x', sizeof(noise));
	assert_int_equal(acct_open(&a, empty, ACCT_READ, &e), -1);
	assert_int_equal(ftruncate(empty, 100000), 0);
	assert_int_equal(acct_open(&a, empty, ACCT_READ, &e), -1);
	close(empty);
	assert_int_equal(acct_open(&a, -1, ACCT_READ, &e), -1);
	acct_close(&a);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		a = table_new(64, &fd);
		poke(fd, cases[i].at, &cases[i].value, cases[i].n);
		assert_int_equal(acct_open(&other, fd, ACCT_WRITE, &e), -1);
		if (strstr(e.text, cases[i].why) == NULL)
			fail_msg("case %zu: %s", i, e.text);
		acct_close(&a);
		close(fd);
	}
	a = table_new(64, &fd);
	poke(fd, offsetof(struct acct_head, column), noise, sizeof(noise));
	assert_int_equal(acct_open(&other, fd, ACCT_READ, &e), -1);
	assert_non_null(strstr(e.text, "a column has no name"));
	acct_close(&a);
	close(fd);
}

/* Whatever the rows and the record of a write say, reading and replaying them is safe. */
static void
test_noise(void **state)
{
	uint32_t seed = 1;
	struct acct a;
	struct acct_view v;
	int fd;

	(void)state;
	for (int round = 0; round < 200; round++) {
		uint8_t *p;

		a = table_new(16, &fd);
		p = (uint8_t *)a.head + offsetof(struct acct_head, column);
		for (; p < (uint8_t *)(a.row + a.rows); p++) {
			seed = seed * 1664525 + 1013904223;
			if (seed >> 24 < 64)
				*p = (uint8_t)(seed >> 16);
		}
		atomic_store(&a.head->redo.state, seed >> 20 & 3);
		atomic_store(&a.head->redo.row, seed >> 10 & 31);
		acct_replay(&a);
		for (uint32_t row = 0; row < 40; row++) {
			(void)acct_read(&a, row, &v);
			(void)acct_applied_get(&a, row, &v);
		}
		acct_close(&a);
		close(fd);
	}
}

/* A table of a build with other columns, in another order. */
static void
test_other_columns(void **state)
{
	struct acct a, other;
	struct acct_view v;
	struct err e;
	int fd;

	(void)state;
	a = table_new(16, &fd);
	add_requests(&a, find_n(&a, 1), 4);
	memcpy(a.head->column[ACCT_requests].name, "unheard_of", 11);
	memcpy(a.head->column[ACCT_out_head].name, "out_body", 9);
	memcpy(a.head->column[ACCT_out_body].name, "requests", 9);
	assert_int_equal(acct_open(&other, fd, ACCT_READ, &e), 0);
	assert_true(acct_read(&other, 3, &v));
	assert_int_equal(v.value[ACCT_requests], 40);
	assert_int_equal(v.value[ACCT_out_body], 0);
	assert_int_equal(v.value[ACCT_out_head], 0);
	assert_int_equal(acct_begin(&other, &e), -1);
	acct_close(&other);
	acct_close(&a);
	close(fd);
}

static void
test_file(void **state)
{
	char dir[] = "/tmp/shoal-acct-XXXXXX", name[ACCT_FILE_MAX];
	struct acct a, again;
	struct err e;
	int fd, at, dir_fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(acct_create(&a, dir_fd, 16, id, &fd, &e), 0);
	acct_file_name(a.head, name);
	assert_memory_equal(name, "seg-2-7-", 8);
	assert_int_equal(strlen(name), 8 + 32);
	at = openat(dir_fd, name, O_RDWR | O_CLOEXEC);
	assert_int_equal(acct_open(&again, at, ACCT_APPLY, &e), 0);
	assert_memory_equal(again.head->uuid, a.head->uuid, 16);
	assert_int_equal(again.head->generation, 3);
	acct_close(&again);
	acct_close(&a);
	assert_int_equal(unlinkat(dir_fd, name, 0), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(acct_create(&a, dir_fd, 16, id, &fd, &e), -1);
	close(at);
	close(dir_fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_siphash),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_long_names),
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_overflow),
	    cmocka_unit_test(test_recycling),
	    cmocka_unit_test(test_churn),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_noise),
	    cmocka_unit_test(test_other_columns),
	    cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests_name("acct", tests, NULL, NULL);
}
