/* Settings from the environment: SHOAL_*, and what platforms and gunicorn users set.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

/* PORT, WEB_CONCURRENCY and FORWARDED_ALLOW_IPS: weaker than a config file, as they are
 * in gunicorn. Empty means unset, here and below. */
NODISCARD int conf_env_defaults(struct conf *c, struct err *e);
/* SHOAL_<KEY> for every option; lists are separated by commas, K=V lists by line breaks.
 * Unknown SHOAL_ names are noticed, not refused: container platforms invent some. */
NODISCARD int conf_env_apply(struct conf *c, struct strlist *notices, struct err *e);
/* getenv with "" as NULL. */
const char *conf_env_get(const char *name);

/* Splits as a POSIX shell splits words, without expansion: quotes and backslashes. */
NODISCARD int conf_env_split(const char *text, struct strlist *words, struct err *e);
