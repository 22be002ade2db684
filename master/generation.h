/* A generation: one load of code and configuration, with the mold its workers are forked
 * from. SPDX-License-Identifier: MIT */
#pragma once

#include "common/heritage.h"

struct fleet;
struct mold;

struct generation {
	unsigned number;          /* from 1, never reused in the life of the instance */
	unsigned refs;            /* workers, a job, the fleet */
	struct heritage heritage; /* owned; what its workers are told */
	char **env;               /* owned; their environment */
	struct mold *mold;        /* owned; NULL: workers load the application themselves */
	int said_fd;      /* borrowed; standard error of processes to come; 0: as ever */
	double loaded_at; /* Unix time its first worker was ready; 0: not yet */
};

/* Takes the configuration over (conf is left empty). The rest of the heritage is copied
 * from `like`. One reference is the caller's. */
NODISCARD struct generation *generation_create(
    unsigned number, struct conf *conf, const struct heritage *like, struct err *e);
struct generation *generation_ref(struct generation *g);
/* With the last reference the mold ends, too. NULL is fine. */
void generation_unref(struct generation *g);
