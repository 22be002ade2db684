/* The embedded interpreter's start. SPDX-License-Identifier: MIT */
#pragma once

#include "common/heritage.h"

/* Initializes Python as `heritage.python` would, sys.argv = [APP]. The GIL is held on
 * return. -1: err. */
NODISCARD int interp_start(const struct heritage *h, struct err *e);
/* The running interpreter is the one this plugin was built for. */
NODISCARD int interp_check_version(struct err *e);
