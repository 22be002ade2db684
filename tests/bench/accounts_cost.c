/* What counting a request in its account costs: nanoseconds of each step, the
 * fastest of many rounds, one line each. SPDX-License-Identifier: MIT */
#include "common/acct.h"
#include "common/hist.h"

#include <stdio.h>
#include <time.h>

#define KEYS 2048 /* in a table of 4096 rows, so that rows are not in the nearest cache */
#define ROUNDS 401
#define STEPS 10000

static struct acct table;
static char key[KEYS][24];
static size_t key_n[KEYS];
static uint32_t row_of[KEYS];
static uint64_t histogram[HIST_BUCKETS];
static uint32_t seed = 1;
static volatile uint64_t sink;

static uint32_t
next_key(void)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 12) % KEYS;
}

static void
step_nothing(uint32_t k)
{
	sink += k;
}

static uint32_t
find(uint32_t k)
{
	char folded[ACCT_KEY_MAX];

	return acct_row_find(&table, folded, acct_key_fold(key[k], key_n[k], folded));
}

static void
step_lookup(uint32_t k)
{
	sink += find(k);
}

static void
step_same(uint32_t k)
{
	char folded[ACCT_KEY_MAX];
	size_t n = acct_key_fold(key[k], key_n[k], folded);

	sink += acct_row_is(&table, row_of[k], folded, n);
}

static void
commit(uint32_t row)
{
	const uint64_t add[ACCT_COLUMNS] = {[ACCT_requests] = 1,
	    [ACCT_in_head] = 120,
	    [ACCT_out_head] = 140,
	    [ACCT_out_body] = 1000,
	    [ACCT_app_us] = 30,
	    [ACCT_wall_us] = 60};

	acct_commit(&table, row, add);
}

static void
step_commit(uint32_t k)
{
	commit(row_of[k]);
}

static void
step_intent(uint32_t k)
{
	acct_intend(&table, row_of[k], 1000);
	acct_intend(&table, 0, 0);
}

static void
step_histogram(uint32_t k)
{
	histogram[hist_bucket(50000 + k * 977)]++;
}

static void
step_all(uint32_t k)
{
	acct_intend(&table, find(k), 1000);
	commit(row_of[k]);
	acct_intend(&table, 0, 0);
	histogram[hist_bucket(50000 + k * 977)]++;
}

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The fastest round: whatever else the machine does only makes it slower. */
static double
measure(void (*step)(uint32_t k))
{
	double least = 1e9;

	for (int round = 0; round < ROUNDS; round++) {
		double begin = now_ns(), took;

		for (int i = 0; i < STEPS; i++)
			step(next_key());
		took = (now_ns() - begin) / STEPS;
		least = MIN(least, took);
	}
	return least;
}

int
main(void)
{
	static const struct {
		const char *name;
		void (*step)(uint32_t k);
	} steps[] = {
	    {"lookup of a 20-byte name", step_lookup},
	    {"the same name as before on the connection", step_same},
	    {"commit of 16 columns", step_commit},
	    {"send announced and counted", step_intent},
	    {"histogram", step_histogram},
	    {"lookup, send, commit, histogram", step_all},
	};
	const unsigned id[] = {0, 1, 1};
	struct err e;
	double nothing;
	int fd;

	if (acct_create(&table, -1, 4096, id, &fd, &e) < 0 || acct_begin(&table, &e) < 0) {
		fprintf(stderr, "accounts_cost: %s\n", e.text);
		return 1;
	}
	for (uint32_t k = 0; k < KEYS; k++) {
		key_n[k] =
		    (size_t)snprintf(key[k], sizeof(key[k]), "tenant-%05u.example", k);
		row_of[k] = find(k);
	}
	nothing = measure(step_nothing);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		printf("%s\t%.1f\n", steps[i].name, measure(steps[i].step) - nothing);
	return 0;
}
