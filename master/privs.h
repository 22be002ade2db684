/* The user and group that workers run as. SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

#include <sys/types.h>

#define PRIVS_GROUPS_MAX 256

struct privs {
	bool drop; /* false: workers stay who the master is */
	uid_t uid;
	gid_t gid;
	int n_groups;
	gid_t groups[PRIVS_GROUPS_MAX];
	char name[64]; /* for messages */
};

/* Looks -u, -g and --initgroups up; an unknown name, or a change only root can make, is an
 * error. */
NODISCARD int privs_resolve(struct privs *p, const struct conf *c, struct err *e);
/* In the child, before exec: for good, every result read back. */
NODISCARD int privs_apply(const struct privs *p, struct err *e);
