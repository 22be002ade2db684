/* What the targets share: a check that stops the fuzzer, limits, and where to split.
 * SPDX-License-Identifier: MIT */
#pragma once

#include <stdio.h>

#include "common/http/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(what)                                                                   \
	do {                                                                               \
		if (!(what)) {                                                             \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);         \
			abort();                                                           \
		}                                                                          \
	} while (0)

/* Small, so that the fuzzer reaches them. */
static const struct head_limits fuzz_limits = {
    .line = 100, .fields = 8, .field_size = 120, .total = 400};

/* An own allocation of exactly n bytes, so that AddressSanitizer sees every over-read. */
static inline char *
fuzz_copy(const void *p, size_t n)
{
	char *copy = malloc(n ? n : 1);

	FUZZ_CHECK(copy);
	if (n)
		memcpy(copy, p, n);
	return copy;
}

/* Parses p[0..n) in growing copies, `step` more bytes each time. */
static inline enum head_result
fuzz_head(struct head *h, const char *p, size_t n, size_t step)
{
	enum head_result r = HEAD_MORE;

	head_init(h);
	for (size_t have = 0; r == HEAD_MORE && have < n;) {
		char *copy;

		have = n - have > step ? have + step : n;
		copy = fuzz_copy(p, have);
		r = head_parse(h, &fuzz_limits, copy, have);
		free(copy);
	}
	return r;
}
