/* The WSGI environ of a request. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

/* The dictionary every request starts from; into st->template. -1: exception. */
NODISCARD int environ_prepare(struct state *st);
/* c->env and the objects in it. -1: exception, nothing is left behind in c but what
 * call_detach() and the call's end release. */
NODISCARD int environ_build(struct call *c);
