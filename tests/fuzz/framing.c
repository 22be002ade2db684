/* Fuzzes the fields that frame a body, behind a good request line: the input is a list of
 * lines, the first letter of each choosing the name.
 * SPDX-License-Identifier: MIT */
#include "tests/fuzz/support.h"

#define HEAD_BYTES 512

static size_t
append(char *buf, size_t n, const char *p, size_t len)
{
	len = MIN(len, HEAD_BYTES - n);
	memcpy(buf + n, p, len);
	return n + len;
}

static size_t
head_build(char *buf, const uint8_t *data, size_t size)
{
	static const char *const names[] = {"Content-Length: ", "Transfer-Encoding: ",
	    "Connection: ", "Expect: ", "Upgrade: ", "Host: ", "content-length:", "X-"};
	size_t n = 0;
	const uint8_t *end = data + size;

	n = append(buf, n, "POST / HTTP/1.1\r\nHost: a\r\n", 26);
	while (data < end) {
		const char *name = names[*data % ARRAY_LEN(names)];
		const uint8_t *lf = memchr(data, '\n', (size_t)(end - data));
		size_t len = (size_t)((lf ? lf : end) - data) - (lf != data);

		n = append(buf, n, name, strlen(name));
		n = append(buf, n, (const char *)data + (lf != data), len);
		n = append(buf, n, "\r\n", 2);
		data += len + (lf != data) + 1;
		if (!lf)
			break;
	}
	return append(buf, n, "\r\n", 2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct head h;
	char buf[HEAD_BYTES];
	size_t n = head_build(buf, data, size);
	enum head_result r = fuzz_head(&h, buf, n, n);
	int status = h.status;

	if (r == HEAD_DONE) {
		FUZZ_CHECK(!(h.chunked && h.has_length));
		FUZZ_CHECK(h.has_length || h.length == 0);
		FUZZ_CHECK(h.length <= INT64_MAX);
		FUZZ_CHECK(h.keep_alive != h.close_asked);
	}
	if (r == HEAD_ERROR)
		FUZZ_CHECK(
		    status == 400 || status == 417 || status == 431 || status == 501);
	FUZZ_CHECK(fuzz_head(&h, buf, n, 1) == r && h.status == status);
	return 0;
}
