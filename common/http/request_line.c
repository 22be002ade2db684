/* Splits the request line, and judges method and version.
 * SPDX-License-Identifier: MIT */
#include "common/http/request_line.h"

#include "common/http/chars.h"
#include "common/http/target.h"

#define VERSION_LEN 8 /* HTTP/1.1 */

static int
refuse(struct head *h, int status, const char *reason)
{
	h->reason = reason;
	return status;
}

static int
version_parse(struct head *h, struct str v)
{
	if (v.n != VERSION_LEN || memcmp(v.p, "HTTP/", 5) != 0 || v.p[6] != '.' ||
	    !chars_is(v.p[5], CHAR_DIGIT) || !chars_is(v.p[7], CHAR_DIGIT))
		return refuse(h, 400, "malformed HTTP version");
	if (v.p[5] != '1')
		return refuse(h, 505, "HTTP version not supported");
	h->version_minor = (uint8_t)(v.p[7] - '0');
	/* RFC 9110 2.5: a higher minor version is served as the highest we know. */
	h->http11 = h->version_minor >= 1;
	return 0;
}

/* Bytes up to the first SP, or all. */
static size_t
target_length(struct str s)
{
	const char *space = s.n ? memchr(s.p, ' ', s.n) : NULL;

	return space ? (size_t)(space - s.p) : s.n;
}

int
request_line_parse(struct head *h, const char *base, struct str line)
{
	const char *end = line.p + line.n;
	struct str target, version;
	uint8_t seen;
	size_t n = chars_token(line.p, MIN(line.n, METHOD_MAX + 1), &seen);
	int status;

	if (n > METHOD_MAX)
		return refuse(h, 501, "method too long");
	if (n == 0 || n == line.n || line.p[n] != ' ')
		return refuse(h, 400, "malformed method");
	h->method = (struct span){(uint32_t)(line.p - base), (uint32_t)n};
	target.p = line.p + n + 1;
	target.n = target_length((struct str){target.p, (size_t)(end - target.p)});
	if (target.n == (size_t)(end - target.p))
		return refuse(h, 400, "no HTTP version");
	version.p = target.p + target.n + 1;
	version.n = (size_t)(end - version.p);
	status = version_parse(h, version);
	if (status)
		return status;
	h->target = (struct span){(uint32_t)(target.p - base), (uint32_t)target.n};
	return target_parse(h, base, target);
}
