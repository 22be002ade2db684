/* The environment a worker starts with. SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

/* The master's own, less what is between it and its supervisor or loader, plus --env.
 * Heap, NULL-terminated; NULL without memory. */
char **env_create(const struct strlist *extra);
void env_destroy(char **env);
