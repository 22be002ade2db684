/* The file that names the running master. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

struct pidfile {
	int fd; /* owned; locked for as long as the master lives; -1: none */
	char path[1024];
};

/* path NULL: does nothing. A file a live process holds is refused, a stale one replaced. */
NODISCARD int pidfile_open(struct pidfile *p, const char *path, struct err *e);
/* Removes the file if it is still the one we wrote. */
void pidfile_close(struct pidfile *p);
