/* The log files: opened by the master with its own rights, handed to every worker.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

struct logs {
	int access_fd, error_fd;              /* owned; what workers get */
	const char *access_path, *error_path; /* borrowed from the configuration */
	bool daemon;                          /* standard streams lead nowhere */
};

/* Opens both and sends the master's own lines to the error log. */
NODISCARD int logs_open(struct logs *l, const struct conf *c, struct err *e);
/* The files under their names again (after a rotation); on failure the old ones stay. */
NODISCARD int logs_reopen(struct logs *l, struct err *e);
void logs_close(struct logs *l);
