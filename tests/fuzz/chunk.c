/* Fuzzes the chunked decoder: the same data and the same end for every split.
 * SPDX-License-Identifier: MIT */
#include "tests/fuzz/support.h"

struct result {
	enum chunk_result end;
	size_t used, body_n;
	char *body; /* owned */
};

static void
decode(struct result *r, const char *p, size_t n, size_t step)
{
	struct chunk c;
	struct str data;
	size_t used;

	*r = (struct result){CHUNK_MORE, 0, 0, fuzz_copy(p, n)};
	chunk_init(&c);
	while (r->used < n && (r->end == CHUNK_MORE || r->end == CHUNK_DATA)) {
		size_t piece = MIN(step, n - r->used);
		char *copy = fuzz_copy(p + r->used, piece);

		r->end = chunk_decode(&c, copy, piece, &used, &data);
		FUZZ_CHECK(used <= piece);
		FUZZ_CHECK(r->end == CHUNK_DATA || data.n == 0);
		FUZZ_CHECK(r->end != CHUNK_MORE || used == piece);
		if (data.n) {
			memcpy(r->body + r->body_n, data.p, data.n);
			r->body_n += data.n;
		}
		r->used += used;
		free(copy);
	}
	FUZZ_CHECK((r->end == CHUNK_ERROR) == (c.reason != NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole, split;

	decode(&whole, (const char *)data, size, size);
	for (size_t step = 1; step < 8; step += 3) {
		decode(&split, (const char *)data, size, step);
		/* Whether the last call saw data or framing depends on where it was cut. */
		FUZZ_CHECK((split.end == CHUNK_ERROR) == (whole.end == CHUNK_ERROR));
		FUZZ_CHECK((split.end == CHUNK_DONE) == (whole.end == CHUNK_DONE));
		FUZZ_CHECK(split.body_n == whole.body_n);
		FUZZ_CHECK(memcmp(split.body, whole.body, whole.body_n) == 0);
		FUZZ_CHECK(whole.end != CHUNK_DONE || split.used == whole.used);
		free(split.body);
	}
	free(whole.body);
	return 0;
}
