/* Is it uri-host [":" port]? (RFC 3986 3.2, RFC 9110 7.2)
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

/* True for a non-empty host, a port of at most 65535 or an empty one. User information is
 * refused. */
bool host_valid(struct str s);
