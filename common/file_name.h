/* Names of people as names of files. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

/* "shop:app" as a file name: what is not a letter, a digit or one of "._-" becomes '_'. */
void file_name_make(const char *name, char *to, size_t max);
