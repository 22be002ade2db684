/* For the ledger's black-box tests: a worker's side of the accounts without a server.
 *
 * account_writer write DIR SLOT ACCOUNTS ROUNDS   counts, says the table's name, stays
 * account_writer run DIR SLOT ACCOUNTS            counts until it is killed
 * account_writer close DIR NAME                   as the master after its death: completes
 * the table, says "REQUESTS BYTES" of it SPDX-License-Identifier: MIT */
#include "common/acct.h"

#include <fcntl.h>
#include <stdio.h>

#define ROWS 4096

static int
fail(const struct err *e)
{
	fprintf(stderr, "%s\n", e->text);
	return EXIT_FAILURE;
}

static void
count(struct acct *a, unsigned account, uint64_t n)
{
	const uint64_t add[ACCT_COLUMNS] = {
	    [ACCT_requests] = 1, [ACCT_out_head] = 100, [ACCT_out_body] = n % 1000};
	char name[32];
	int len = snprintf(name, sizeof(name), "account-%u", account);

	acct_commit(a, acct_row_find(a, name, (size_t)len), add);
}

static int
write_table(int dir, char **argv, uint64_t rounds, bool stay)
{
	const unsigned id[3] = {
	    (unsigned)strtoul(argv[0], NULL, 10), (unsigned)getpid(), 1};
	unsigned accounts = (unsigned)strtoul(argv[1], NULL, 10);
	char name[ACCT_FILE_MAX];
	struct acct a;
	struct err e;
	int fd;

	if (acct_create(&a, dir, ROWS, id, &fd, &e) < 0 || acct_begin(&a, &e) < 0)
		return fail(&e);
	acct_file_name(a.head, name);
	printf("%s\n", name);
	fflush(stdout);
	for (uint64_t i = 0; i < rounds; i++)
		for (unsigned k = 0; k < accounts; k++)
			count(&a, k, i);
	if (stay) {
		printf("done\n");
		fflush(stdout);
		(void)!getchar();
	}
	return EXIT_SUCCESS;
}

static int
close_table(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDWR | O_CLOEXEC);
	uint64_t requests = 0, bytes = 0;
	struct acct_view v;
	struct acct a;
	struct err e;

	if (acct_open(&a, fd, ACCT_WRITE, &e) < 0)
		return fail(&e);
	acct_replay(&a);
	for (uint32_t i = 0; i < acct_used(&a); i++)
		if (acct_read(&a, i, &v)) {
			requests += v.value[ACCT_requests];
			bytes += v.value[ACCT_out_head] + v.value[ACCT_out_body];
		}
	printf("%llu %llu\n", (unsigned long long)requests, (unsigned long long)bytes);
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	int dir = argc > 2 ? open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (dir >= 0 && argc == 6 && strcmp(argv[1], "write") == 0)
		return write_table(dir, argv + 3, strtoull(argv[5], NULL, 10), true);
	if (dir >= 0 && argc == 5 && strcmp(argv[1], "run") == 0)
		return write_table(dir, argv + 3, UINT64_MAX, false);
	if (dir >= 0 && argc == 4 && strcmp(argv[1], "close") == 0)
		return close_table(dir, argv[3]);
	fprintf(stderr, "usage: account_writer write|run|close DIR ...\n");
	return EXIT_FAILURE;
}
