/* What ps shows for the master. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

/* Once, first thing in main: moves the environment out of the way and remembers where the
 * kernel reads the command line from. Pointers into argv are void after title_set. */
void title_init(int argc, char **argv);
/* "shoal: master [name]", cut at the room there is. */
void title_set(const char *name);
