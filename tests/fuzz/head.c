/* Fuzzes the request head: no over-read, spans inside the head, one verdict for all splits.
 * SPDX-License-Identifier: MIT */
#include "tests/fuzz/support.h"

static void
check_span(const struct head *h, struct span s)
{
	FUZZ_CHECK(s.off <= h->end && s.len <= h->end - s.off);
}

static void
check_done(const struct head *h, const char *p)
{
	FUZZ_CHECK(h->end - h->start <= fuzz_limits.total);
	FUZZ_CHECK(h->n_fields <= fuzz_limits.fields);
	FUZZ_CHECK(h->method.len > 0 && h->method.len <= 64 && h->target.len > 0);
	FUZZ_CHECK(!(h->chunked && h->has_length));
	FUZZ_CHECK(!h->http11 || h->host.len > 0);
	check_span(h, h->method);
	check_span(h, h->target);
	check_span(h, h->path);
	check_span(h, h->query);
	check_span(h, h->host);
	for (uint32_t i = 0; i < h->n_fields; i++) {
		struct str value = span_str(p, h->fields[i].value);

		check_span(h, h->fields[i].name);
		check_span(h, h->fields[i].value);
		FUZZ_CHECK(h->fields[i].name.len > 0);
		FUZZ_CHECK(!memchr(value.p, '\r', value.n) &&
			   !memchr(value.p, '\n', value.n) &&
			   !memchr(value.p, '\0', value.n));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct head whole, split;
	const char *p = (const char *)data;
	enum head_result r = fuzz_head(&whole, p, size, size);

	for (size_t step = 1; step < 8; step += 3) {
		FUZZ_CHECK(fuzz_head(&split, p, size, step) == r);
		FUZZ_CHECK(split.status == whole.status);
		FUZZ_CHECK(r != HEAD_DONE ||
			   (split.end == whole.end && split.n_fields == whole.n_fields &&
			       split.length == whole.length &&
			       split.keep_alive == whole.keep_alive));
	}
	if (r == HEAD_DONE)
		check_done(&whole, p);
	return 0;
}
