/* Follows a job to its end: a line for each step, the reason and the traceback of a
 * failure. Outlives a connection that is lost meanwhile. SPDX-License-Identifier: MIT */
#pragma once

#include "master/cli/cli.h"

/* Starts a job and follows it. With `token` the request may be sent again when the
 * connection is lost before its answer came. params is borrowed. Returns the exit code. */
int follow_start(struct cli *c, const char *method, json_t *params, bool token);
/* Of a job that runs already. */
int follow_job(struct cli *c, const char *id);
/* Shows a job that is final: the exit code its state stands for. */
int follow_show_end(struct cli *c, const json_t *job);
bool follow_is_final(const char *state);
