/* What every verb works with: the options before it, the connection, the exit codes.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/cli/args.h"
#include "master/cli/link.h"
#include "master/cli/out.h"

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1, /* the operation failed or was rolled back */
	CLI_USAGE = 2,
	CLI_NOBODY = 3, /* nothing listens */
	CLI_DENIED = 4,
	CLI_RUNNING = 5, /* timed out; it may still run */
	CLI_TOO_OLD = 6, /* one side is too old for the other */
};

#define CLI_REPLY_MS 30000
#define CLI_FOREVER INT64_MAX

struct cli {
	const struct args *args; /* borrowed */
	struct out out;
	struct link link;
	int64_t started;  /* link_now() */
	int64_t deadline; /* of --timeout; CLI_FOREVER: not given */
	/* INT or TERM: a job that is followed goes on, and we say so. */
	volatile int *interrupted;
};

/* Returns the exit code. */
int cli_main(int argc, char **argv);
/* Finds the instance and connects. CLI_OK, or an exit code after saying why. */
int cli_connect(struct cli *c);
/* When an answer must be there: --timeout, else CLI_REPLY_MS from now. */
int64_t cli_reply_deadline(const struct cli *c);
/* One request: CLI_OK and the reply (link_msg_finish() it), or an exit code after saying
 * why (with --json: after printing the error). */
int cli_call(struct cli *c, const char *method, json_t *params, struct link_msg *m);
/* Says why, on standard error; the exit code of a connection that does not work. */
int cli_explain(struct cli *c, enum link_status st, const struct err *e);
/* The same of an error reply to `method`. */
int cli_refused(struct cli *c, const char *method, const struct link_msg *m);
/* From now on INT, TERM and HUP only set c->interrupted. */
void cli_catch_signals(struct cli *c);
/* "shoalctl: ..." on standard error, cleaned. */
void cli_say(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Shows the reply's result, as the mode says. */
void cli_show(struct cli *c, const struct out_view *v, const struct link_msg *m);
