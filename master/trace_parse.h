/* What CPython's faulthandler writes, as threads and frames. Pure; the text comes out of a
 * worker and may be anything. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <jansson.h>

#define TRACE_TEXT_MAX (256 * 1024)
#define TRACE_THREADS_MAX 1024
#define TRACE_FRAMES_MAX 200 /* of one thread; faulthandler itself stops at 100 */

/* [{"id":"0x7f31d10a62c0","current":true,"name":"...","stack":[{"file","line","function"}],
 * "truncated":true}]: the newest dump in the text. Innermost frame first; name, truncated
 * only when the text says so; line null when unknown. New reference; NULL without memory.
 */
json_t *trace_parse(struct str text);
