/* What the configuration prints: --help, --version, --print-config.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

#include <stdio.h>

/* --help: grouped, at most 80 columns. */
void conf_help_usage(FILE *out);
/* The one line that follows a usage error. */
void conf_help_hint(FILE *out);
/* --version: this program and the libraries it links; libevent's is the caller's to ask. */
void conf_help_version(FILE *out, const char *libevent);
/* --print-config: one `key = value  # origin` line per option, by group. */
void conf_help_config(FILE *out, const struct conf *c);
