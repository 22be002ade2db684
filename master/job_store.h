/* Jobs as JSON and in the file that remembers them. SPDX-License-Identifier: MIT */
#pragma once

#include "master/job.h"

/* Reads what an earlier master left; the directory (NULL: nothing is kept) must be there.
 * A file that cannot be understood is logged and replaced at the next change. */
NODISCARD int job_store_open(struct jobs *js, const char *state_dir, struct err *e);
/* Best effort, a failure is logged once. Does not wait for the disk. */
void job_store_save(struct jobs *js);
void job_destroy(struct job *j);
