/* What ps shows for a process. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

/* Once, first thing in main: moves the environment out of the way and remembers where the
 * kernel reads the command line from. Pointers into argv are void after title_set. */
void title_init(int argc, char **argv);
/* The same in a process whose main is not ours (python's): only the room of its arguments.
 * After title_init it does nothing. */
void title_adopt(void);
/* "shoal: master [shop]" for process "shoal: master", name "shop"; cut at the room there
 * is. */
void title_set(const char *process, const char *name);
