/* Where a statsd server is, as --statsd-host says it. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#define STATSD_TEXT_MAX 240 /* of a prefix, and of tags */

struct statsd_addr {
	const char *path; /* of a unix socket: borrowed of the text; NULL: a host */
	char host[256], port[6];
};

/* HOST[:PORT], [V6][:PORT], unix://PATH; the port is 8125 when it is left out. */
NODISCARD int statsd_addr_parse(struct statsd_addr *a, const char *text, struct err *e);
/* A prefix or tags: nothing that has a meaning in statsd's lines. */
bool statsd_text_is_safe(const char *text, size_t max);
