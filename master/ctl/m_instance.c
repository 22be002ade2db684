/* server.drain, undrain, stop: the instance as a whole. SPDX-License-Identifier: MIT */
#include "master/chores.h"
#include "master/ctl/ctl.h"
#include "master/master.h"
#include "master/upgrade.h"

#include <string.h>

int
ctl_server_drain(struct ctl_call *call)
{
	const struct job_by by = ctl_by(call);
	const char *busy;
	struct job *j;

	if (chores_draining(call->master))
		return ctl_fail(call, CTL_E_FAILED_PRECONDITION,
		    json_pack("{s:[s]}", "why", "draining"), "already draining");
	j = chores_drain(call->master, ctl_param_ms(call, "timeout_s", 0), &by, &busy);
	return ctl_reply_job(call, j, busy);
}

int
ctl_server_undrain(struct ctl_call *call)
{
	if (chores_undrain(call->master) < 0)
		return ctl_fail(call, CTL_E_FAILED_PRECONDITION,
		    json_pack("{s:[s]}", "why", "not draining"), "not draining");
	return ctl_reply(
	    call, json_pack("{s:b}", "ready", fleet_count_ready(&call->master->fleet) > 0));
}

static int64_t
grace_of_mode(const struct ctl_call *call)
{
	const char *mode = ctl_param_str(call, "mode", "graceful");

	if (strcmp(mode, "immediate") == 0)
		return -1;
	if (strcmp(mode, "fast") == 0)
		return CHORES_FAST_MS;
	return ctl_param_ms(call, "timeout_s", master_conf(call->master)->graceful_timeout);
}

int
ctl_server_stop(struct ctl_call *call)
{
	const struct job_by by = ctl_by(call);

	return ctl_reply_job(
	    call, chores_stop(call->master, grace_of_mode(call), &by), NULL);
}

int
ctl_server_upgrade(struct ctl_call *call)
{
	const struct job_by by = ctl_by(call);
	const char *binary = ctl_param_str(call, "binary", NULL), *busy;
	struct job *j;

	if (binary != NULL && binary[0] != '/')
		return ctl_fail(call, CTL_E_INVALID_PARAMS,
		    json_pack("{s:s, s:s}", "param", "binary", "expected", "absolute path"),
		    "binary: expected an absolute path");
	j = upgrade_start(call->master, binary, ctl_param_bool(call, "check", false),
	    ctl_param_str(call, "token", NULL), &by, &busy);
	return ctl_reply_job(call, j, busy);
}
