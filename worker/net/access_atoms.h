/* The atoms of an access-log format: what each writes into a record.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "worker/net/access_text.h"

struct req;

/* What all atoms of one record share. */
struct access_ctx {
	const struct req *r;
	bool forwarded_for;
	/* Local time of the end of the request, made once per second */
	struct str clf;      /* [21/Nov/2026:08:47:00 +0000] */
	struct str eventlet; /* 21/Nov/2026 08:47:00 */
	struct str iso;      /* 2026-11-21T08:47:00+0000 */
	struct str pid;
};

/* arg: the field name of a {name}i atom, lower case. */
typedef void atom_fn(struct text *t, const struct access_ctx *c, struct str arg);

/* The atom of that name, NULL when there is none. */
atom_fn *access_atom_find(struct str name);
/* What the client acknowledged; a NUL byte while that is not known. */
atom_fn access_atom_acked;
/* A request field by name: `{name}i`. */
void access_atom_field(struct text *t, const struct access_ctx *c, struct str arg);
