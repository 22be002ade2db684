/* What every target needs: its entry point, a check that stops the fuzzer, exact copies.
 * SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(what)                                                                   \
	do {                                                                               \
		if (!(what)) {                                                             \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);         \
			abort();                                                           \
		}                                                                          \
	} while (0)

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
