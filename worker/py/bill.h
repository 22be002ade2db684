/* Who is billed for a request, as the application says it: env['shoal.account'], or the
 * response header X-Shoal-Account. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/py/call.h"

/* A new head: what an earlier one said is forgotten. */
void bill_reset(struct call *c);
/* True: the field is that header, and none for the client. */
bool bill_is_field(struct str name);
/* Its value. */
void bill_field(struct call *c, struct str value);
/* When the head is final, before the request is `answering`: the environ's word counts more
 * than the header's. */
void bill_fix(struct call *c);
/* After the body: a word that came too late is a mistake worth knowing of. */
void bill_check(struct call *c);
