/* Memory shared between processes: sealed memfds of a fixed size.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

/* A new memfd (CLOEXEC), every page allocated, its size sealed. Zeroed. */
NODISCARD int shm_create(const char *name, size_t size, struct err *e);
/* Maps it whole, shared, after checking its size. NULL on failure; munmap() it. */
NODISCARD void *shm_map(int fd, size_t size, struct err *e);
