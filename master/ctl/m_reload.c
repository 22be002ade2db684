/* reload.*: a new generation, a look at what it would be, the way back.
 * SPDX-License-Identifier: MIT */
#include "master/ctl/ctl.h"
#include "master/master.h"
#include "master/reload.h"

#include <stdio.h>
#include <string.h>

int
ctl_reload_check(struct ctl_call *call)
{
	const struct job_by by = ctl_by(call);
	const char *busy;
	struct job *j =
	    reload_check(call->master, ctl_param_bool(call, "canary", true), &by, &busy);
	int64_t wait_ms = ctl_param_ms(call, "wait_s", 0);

	if (j == NULL || wait_ms == 0)
		return ctl_reply_job(call, j, busy);
	return ctl_wait_job(call, j, wait_ms, false);
}

static void
read_params(const struct ctl_call *call, struct reload_params *p)
{
	reload_params_default(call->master, p);
	p->bluegreen = strcmp(ctl_param_str(call, "mode", "rolling"), "bluegreen") == 0;
	p->surge = (unsigned)ctl_param_int(call, "surge", p->surge);
	p->boot_timeout_ms = ctl_param_ms(call, "boot_timeout_s", p->boot_timeout_ms);
	p->drain_timeout_ms = ctl_param_ms(call, "drain_timeout_s", p->drain_timeout_ms);
	p->soak_ms = ctl_param_ms(call, "soak_s", p->soak_ms);
	p->canaries = (unsigned)ctl_param_int(call, "canaries", p->canaries);
	p->max_error_ratio = ctl_param_num(call, "max_error_ratio", p->max_error_ratio);
	p->keep_ms = ctl_param_ms(call, "keep_old_s", p->keep_ms);
	snprintf(p->token, sizeof(p->token), "%s", ctl_param_str(call, "token", ""));
	if (ctl_has_param(call, "check_url"))
		snprintf(p->check_url, sizeof(p->check_url), "%s",
		    ctl_param_str(call, "check_url", ""));
}

int
ctl_reload_start(struct ctl_call *call)
{
	const struct job_by by = ctl_by(call);
	struct reload_params p;
	const char *busy;
	struct job *j;

	read_params(call, &p);
	if (p.check_url[0] != '\0' && p.check_url[0] != '/')
		return ctl_fail(call, CTL_E_INVALID_PARAMS,
		    json_pack("{s:s, s:s}", "param", "check_url", "expected", "/PATH"),
		    "check_url: expected a path that begins with /");
	j = reload_start(call->master, &p, &by, &busy);
	return ctl_reply_job(call, j, busy);
}

int
ctl_reload_rollback(struct ctl_call *call)
{
	const struct job_by by = ctl_by(call);
	const char *busy = NULL, *id = ctl_param_str(call, "job", NULL);
	struct err e = {""};
	struct job *j;

	if (id != NULL && jobs_find(&call->master->jobs, id) == NULL)
		return ctl_fail(
		    call, CTL_E_NOT_FOUND, json_pack("{s:s}", "what", id), "no job %s", id);
	if (id != NULL && !reload_can_roll_back(call->master, id))
		return ctl_fail(call, CTL_E_FAILED_PRECONDITION,
		    json_pack("{s:[s]}", "why", "not the last reload"),
		    "job %s is not the last reload", id);
	j = reload_rollback(call->master, &by, &busy, &e);
	if (j == NULL && e.text[0] != '\0')
		return ctl_fail(call, CTL_E_FAILED_PRECONDITION,
		    json_pack("{s:[s]}", "why", "no previous generation"), "%s", e.text);
	return ctl_reply_job(call, j, busy);
}
