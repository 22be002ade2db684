/* Fuzzes a whole connection: the first byte is the size of the pieces; the events must be
 * those of the whole input.
 * SPDX-License-Identifier: MIT */
#include "tests/fuzz/support.h"
#include "tests/unit/http_run.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run whole, split;
	struct str in;
	char *copy;

	if (size < 1)
		return 0;
	copy = fuzz_copy(data + 1, size - 1);
	in = (struct str){copy, size - 1};
	whole.limits = split.limits = fuzz_limits;
	whole.body_max = split.body_max = 64;
	run_split(&whole, in, NULL, 0, 0);
	run_split(&split, in, NULL, 0, 1 + data[0] % 31);
	FUZZ_CHECK(strcmp(whole.text, split.text) == 0);
	FUZZ_CHECK(whole.body_n == split.body_n);
	FUZZ_CHECK(memcmp(whole.body, split.body, whole.body_n) == 0);
	FUZZ_CHECK(whole.clean == split.clean && whole.closed == split.closed);
	FUZZ_CHECK(whole.status == 0 || (whole.status >= 400 && whole.status <= 505));
	free(copy);
	return 0;
}
