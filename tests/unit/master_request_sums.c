/* Requests by listener, method and status: the table is bounded, the sums never shrink,
 * whatever a worker writes. SPDX-License-Identifier: MIT */
#include "master/request_sums.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define POST 3
#define OK 1

static struct req_table table;
static struct request_keys keys;
static struct request_seen seen;
static uint64_t sums[REQUEST_SUMS];

static int
on_setup(void **state)
{
	(void)state;
	memset(&table, 0, sizeof(table));
	memset(&keys, 0, sizeof(keys));
	memset(&seen, 0, sizeof(seen));
	memset(sums, 0, sizeof(sums));
	return 0;
}

static void
count(unsigned listener, unsigned method, unsigned code, uint64_t n)
{
	*req_table_find(&table, req_key(listener, method, code)) += n;
}

static void
look(void)
{
	request_sums_look(&keys, &seen, &table, sums);
}

/* Of all places with these labels. */
static uint64_t
sum_of(unsigned listener, unsigned method, unsigned code)
{
	struct req_kind kind;
	uint64_t sum = 0;

	for (size_t i = 0; request_sums_kind(&keys, i, &kind); i++)
		if (kind.listener == listener && kind.method == method && kind.code == code)
			sum += sums[i];
	return sum;
}

static uint64_t
sum_all(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < REQUEST_SUMS; i++)
		sum += sums[i];
	return sum;
}

static void
test_words(void **state)
{
	static const struct {
		const char *name;
		unsigned place;
	} methods[] = {{"GET", 1}, {"HEAD", 2}, {"POST", POST}, {"CONNECT", 9}, {"", 0},
	    {"GE", 0}, {"GETS", 0}, {"get", 0}, {"other", 0}, {"BREW", 0}};
	static const int known[] = {
#define STATUS(code, reason) code,
#include "common/http/status.def"
#undef STATUS
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		assert_int_equal(
		    req_method_find(str_of(methods[i].name)), methods[i].place);
	assert_int_equal(req_method_find((struct str){NULL, 0}), REQ_METHOD_OTHER);
	/* Every final status of the registry has a name; what is none has not. */
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		assert_int_equal(
		    req_codes[req_code_find(known[i])], known[i] < 200 ? 0 : known[i]);
	assert_int_equal(req_codes[req_code_find(499)], 499);
	for (int code = -1; code < 1200; code++) {
		unsigned place = req_code_find(code);

		assert_true(place < REQ_CODES);
		assert_true(place == REQ_CODE_OTHER || req_codes[place] == code);
	}
}

static void
test_counted_and_summed(void **state)
{
	const unsigned teapot = req_code_find(418);

	(void)state;
	for (int i = 0; i < 5; i++)
		count(0, 1, OK, 1);
	count(63, POST, teapot, 2);
	count(2, REQ_METHOD_OTHER, REQ_CODE_OTHER, 7);
	look();
	look();
	assert_int_equal(sum_of(0, 1, OK), 5);
	assert_int_equal(sum_of(63, POST, teapot), 2);
	assert_int_equal(sum_of(2, REQ_METHOD_OTHER, REQ_CODE_OTHER), 7);
	assert_int_equal(sum_all(), 14);
	/* Another worker's table, with what it counts in other cells. */
	memset(&table, 0, sizeof(table));
	memset(&seen, 0, sizeof(seen));
	count(63, POST, teapot, 3);
	count(0, 1, OK, 1);
	look();
	assert_int_equal(sum_of(0, 1, OK), 6);
	assert_int_equal(sum_of(63, POST, teapot), 5);
	assert_int_equal(sum_all(), 18);
}

/* More kinds than there are cells: nothing is lost, nothing counts twice. */
static void
test_full(void **state)
{
	uint64_t n = 0;

	(void)state;
	for (unsigned l = 0; l < REQ_TABLE_LISTENERS; l++)
		for (unsigned m = 0; m < REQ_METHODS; m++)
			for (unsigned c = 0; c < REQ_CODES; c += 7, n++)
				count(l, m, c, 1);
	look();
	assert_true(n > REQ_TABLE_CELLS);
	assert_int_equal(sum_all(), n);
	assert_true(keys.n <= REQ_TABLE_CELLS);
	assert_true(keys.n > REQ_TABLE_CELLS * 9 / 10);
	for (unsigned l = 0; l < REQ_TABLE_LISTENERS; l++)
		assert_true(sums[l] > 0);
	/* Where something counts stays where it was. */
	count(1, 1, OK, 1);
	look();
	assert_int_equal(sum_all(), n + 1);
	/* A listener nobody has heard of is the last one's. */
	assert_ptr_equal(req_table_find(&table, req_key(64, 1, OK)),
	    &table.other[REQ_TABLE_LISTENERS - 1]);
}

static void
test_hostile_table(void **state)
{
	static const uint32_t bad[] = {1, 1u << 30, 1u << 31 | 64u << 16,
	    1u << 31 | (unsigned)REQ_METHODS << 8, 1u << 31 | REQ_CODES, UINT32_MAX};
	const uint32_t good = req_key(0, 1, OK);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		table.cell[i].key = bad[i];
		table.cell[i].n = 9;
	}
	look();
	assert_int_equal(sum_all(), 0);
	assert_int_equal(keys.n, 0);
	/* One key in many cells, which then turn into others and shrink. */
	for (size_t i = 0; i < REQ_TABLE_CELLS; i++) {
		table.cell[i].key = good;
		table.cell[i].n = 2;
	}
	look();
	assert_int_equal(sum_of(0, 1, OK), 2 * REQ_TABLE_CELLS);
	assert_int_equal(keys.n, 1);
	for (size_t i = 0; i < REQ_TABLE_CELLS; i++) {
		table.cell[i].key = req_key((unsigned)i % 64, POST, OK);
		table.cell[i].n = i % 2 ? 1 : UINT64_MAX;
	}
	table.other[5] = UINT64_MAX;
	look();
	assert_int_equal(sum_of(0, 1, OK), 2 * REQ_TABLE_CELLS);
	assert_int_equal(sum_all(), 2 * REQ_TABLE_CELLS);
	/* The largest number each: the sum stays one. */
	for (size_t i = 0; i < REQ_TABLE_CELLS; i++)
		table.cell[i].n = INT64_MAX;
	look();
	assert_true(sum_of(0, 1, OK) == INT64_MAX);
	/* New workers with ever new keys: places run out, counts do not. */
	for (unsigned round = 0; round < 8; round++) {
		memset(&seen, 0, sizeof(seen));
		memset(&table, 0, sizeof(table));
		for (unsigned i = 0; i < REQ_TABLE_CELLS; i++) {
			table.cell[i].key =
			    req_key(round * 8 + i / 64, 2 + i % 8, 1 + i / 8 % 8);
			table.cell[i].n = 1;
		}
		look();
	}
	assert_int_equal(keys.n, REQUEST_KEYS);
	assert_true(sums[63] > 0);
}

static void
test_there_and_back(void **state)
{
	static const char *const wrong[] = {"null", "7", "{}", "[7]", "[[]]",
	    "[[0,\"GET\",200]]", "[[-1,\"GET\",200,1]]", "[[64,\"GET\",200,1]]",
	    "[[0,7,200,1]]", "[[0,\"GET\",200,-1]]"};
	static struct request_keys keys_before;
	static uint64_t before[REQUEST_SUMS];
	json_t *saved;

	(void)state;
	count(0, 1, OK, 5);
	count(3, POST, req_code_find(404), 6);
	count(3, REQ_METHOD_OTHER, REQ_CODE_OTHER, 7);
	look();
	saved = request_sums_save(&keys, sums);
	keys_before = keys;
	memcpy(before, sums, sizeof(sums));
	on_setup(NULL);
	request_sums_restore(&keys, sums, saved);
	assert_memory_equal(&keys, &keys_before, sizeof(keys));
	assert_memory_equal(sums, before, sizeof(sums));
	json_decref(saved);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		json_t *v = json_loads(wrong[i], JSON_DECODE_ANY, NULL);

		request_sums_restore(&keys, sums, v);
		json_decref(v);
	}
	assert_memory_equal(sums, before, sizeof(sums));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words),
	    cmocka_unit_test_setup(test_counted_and_summed, on_setup),
	    cmocka_unit_test_setup(test_full, on_setup),
	    cmocka_unit_test_setup(test_hostile_table, on_setup),
	    cmocka_unit_test_setup(test_there_and_back, on_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
