/* Methods that this build does not have: each answers `unsupported`.
 * SPDX-License-Identifier: MIT */
#include "master/ctl/ctl.h"

static int
answer_unsupported(struct ctl_call *call)
{
	return ctl_fail(call, CTL_E_UNSUPPORTED,
	    json_pack("{s:s}", "feature", call->method->name), "%s is not in this build",
	    call->method->name);
}

#define PENDING(ident)                                                                     \
	int ctl_##ident(struct ctl_call *call)                                             \
	{                                                                                  \
		return answer_unsupported(call);                                           \
	}

/* m_reload.c */
PENDING(server_upgrade)
