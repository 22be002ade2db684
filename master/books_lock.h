/* One instance for one database: locks of FILE.lock, which hold across namespaces of
 * processes on one kernel. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

struct books_lock {
	const char *database; /* borrowed */
	int place_fd; /* owned; the master's: locked as long as it lives; -1: not yet */
	int fd;       /* owned; the same for it or its ledger, which has it, too */
	int blocked;  /* errno of the disk that does not let us make the file; 0: it does */
};

/* Tries for what is not there yet, `tries` times with a pause. -1: another instance lives
 * on this database. 0: it was had; or the disk does not let us (blocked; no ledger may run,
 * since nobody would notice a second one); or the ledger of a master that was killed still
 * writes (fd is -1). */
NODISCARD int books_lock_take(struct books_lock *l, int tries, struct err *e);
void books_lock_drop(struct books_lock *l);
