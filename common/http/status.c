/* Reason phrases of status codes.
 * SPDX-License-Identifier: MIT */
#include "common/http/resp.h"

#define CODE_MAX 511

static const char *const reasons[CODE_MAX + 1] = {
#define STATUS(code, reason) [code] = (reason),
#include "common/http/status.def"
#undef STATUS
};

const char *
status_reason(int code)
{
	if (code < 0 || code > CODE_MAX || !reasons[code])
		return "Unknown";
	return reasons[code];
}
