/* Table rows of HTTP input: judged the same whole, byte by byte, line by line and at random
 * splits, each time right in front of a guard page.
 * SPDX-License-Identifier: MIT */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/guard.h"
#include "tests/unit/http_run.h"

#define CHECK_INPUT_MAX (1 << 20)
#define CHECK_RANDOM_SPLITS 8

/* Bytes with their length, so that NUL may be among them. */
#define IN(lit)                                                                            \
	{                                                                                  \
		(lit), sizeof(lit) - 1                                                     \
	}

/* status: what it is refused with; 0: accepted (`ends` whole messages), or not complete. */
struct check_row {
	const char *rule; /* of docs/HTTP.md, in words */
	struct str in;
	int status;
	unsigned ends;
	const char *text; /* must occur in the transcript, or NULL */
};

static struct run check_run;
static struct guard check_guard;

static const char *
check_place(void *ctx, const char *p, size_t n)
{
	return guard_place(ctx, p, n);
}

static inline void
check_init(void)
{
	guard_init(&check_guard, CHECK_INPUT_MAX);
	check_run.limits = run_limits_default;
	check_run.body_max = 0;
	check_run.place = check_place;
	check_run.ctx = &check_guard;
}

static inline void
check_same(const char *how, const char *rule, struct str in, const char *want)
{
	if (strcmp(check_run.text, want) != 0)
		fail_msg("%s, %s: differs from the whole input\n%.*s\nwhole:\n%s\nnow:\n%s",
		    rule, how, (int)MIN(in.n, 400), in.p, want, check_run.text);
}

/* Plays the input in all ways; leaves the run of the whole input in check_run. */
static inline void
check_splits(const char *rule, struct str in)
{
	static char want[sizeof(check_run.text)];
	size_t cuts[RUN_PIECES_MAX], n = 0, from = 0;
	unsigned seed = 2166136261u ^ (unsigned)in.n;

	run_split(&check_run, in, NULL, 0, 0);
	memcpy(want, check_run.text, check_run.text_n + 1);
	run_split(&check_run, in, NULL, 0, 1);
	check_same("byte by byte", rule, in, want);
	while (n < RUN_PIECES_MAX && from < in.n) {
		const char *lf = memchr(in.p + from, '\n', in.n - from);
		size_t end = lf ? (size_t)(lf - in.p) + 1 : in.n;

		cuts[n++] = end - from;
		from = end;
	}
	run_split(&check_run, in, cuts, n, 0);
	check_same("line by line", rule, in, want);
	for (unsigned round = 0; round < CHECK_RANDOM_SPLITS; round++) {
		for (n = 0; n < RUN_PIECES_MAX; n++) {
			seed = seed * 1664525u + 1013904223u;
			cuts[n] = 1 + (seed >> 16) % (round % 2 ? 7 : 97);
		}
		run_split(&check_run, in, cuts, n, 0);
		check_same("random split", rule, in, want);
	}
	run_split(&check_run, in, NULL, 0, 0);
}

static inline void
check_rows(const struct check_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct check_row *row = &rows[i];

		check_splits(row->rule, row->in);
		if (check_run.status != row->status || check_run.ends != row->ends ||
		    (row->text && !strstr(check_run.text, row->text)))
			fail_msg("%s: want %d, %u messages, \"%s\"; got %d, %u\n%.*s\n%s",
			    row->rule, row->status, row->ends, row->text ? row->text : "",
			    check_run.status, check_run.ends, (int)MIN(row->in.n, 400),
			    row->in.p, check_run.text);
	}
}
