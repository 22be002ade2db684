/* The server's own complete answers, for requests that never reach the application.
 * SPDX-License-Identifier: MIT */
#include "common/http/resp.h"

#define CANNED_STATUS_MAX 64

size_t
resp_canned(char *buf, size_t cap, int code, struct str date, struct str server,
    bool head_request, size_t *head_len)
{
	struct resp_buf out = {.p = buf, .cap = cap};
	struct resp r = {.out = &out, .http11 = true, .head_request = head_request};
	struct str reason = str_of(status_reason(code));
	char status[CANNED_STATUS_MAX];
	size_t n = 4 + reason.n, total = 0;
	bool body;

	if (code < 100 || code > 599 || n >= sizeof(status))
		return 0;
	status[0] = (char)('0' + code / 100);
	status[1] = (char)('0' + code / 10 % 10);
	status[2] = (char)('0' + code % 10);
	status[3] = ' ';
	memcpy(status + 4, reason.p, reason.n);
	status[n] = '\n';
	if (resp_begin(&r, (struct str){status, n}) != RESP_OK ||
	    resp_field(&r, STR("Content-Type"), STR("text/plain; charset=utf-8")) !=
		RESP_OK ||
	    resp_finish(&r, date, server, true, n + 1) != RESP_OK)
		goto out;
	body = r.framing == RESP_LENGTH;
	if (!out.on_heap && out.n + (body ? n + 1 : 0) <= cap) {
		*head_len = out.n;
		if (body)
			memcpy(buf + out.n, status, n + 1);
		total = out.n + (body ? n + 1 : 0);
	}
out:
	if (out.on_heap)
		free(out.p);
	return total;
}
