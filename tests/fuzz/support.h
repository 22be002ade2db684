/* What the targets that parse HTTP share: limits, and where to split.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/http/session.h"
#include "tests/fuzz/check.h"

/* Small, so that the fuzzer reaches them. */
static const struct head_limits fuzz_limits = {
    .line = 100, .fields = 8, .field_size = 120, .total = 400};

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
