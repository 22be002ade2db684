/* jobs.list, get, wait and cancel. SPDX-License-Identifier: MIT */
#include "master/ctl/ctl.h"
#include "master/master.h"
#include "master/reload.h"

/* NULL: there is none, answered. */
static const struct job *
find(struct ctl_call *call)
{
	const char *id = ctl_param_str(call, "job", "");
	const struct job *j = jobs_find(&call->master->jobs, id);

	if (j == NULL)
		ctl_fail(call, CTL_E_NOT_FOUND, json_pack("{s:s}", "what", id),
		    "there is no job %s; the last %d are kept (jobs.list)", id, JOBS_KEPT);
	return j;
}

int
ctl_jobs_list(struct ctl_call *call)
{
	const struct jobs *js = &call->master->jobs;
	json_t *list = json_array();

	for (size_t i = 0; i < js->n; i++) {
		json_t *v = job_to_json(js->v[i]);

		json_object_del(v, "steps");
		json_object_del(v, "token");
		json_array_append_new(list, v);
	}
	return ctl_reply(call, json_pack("{s:o}", "jobs", list));
}

int
ctl_jobs_get(struct ctl_call *call)
{
	const struct job *j = find(call);

	return j == NULL ? 0 : ctl_reply(call, job_to_json(j));
}

int
ctl_jobs_wait(struct ctl_call *call)
{
	const struct job *j = find(call);

	if (j == NULL)
		return 0;
	return ctl_wait_job(call, j, ctl_param_ms(call, "timeout_s", 60000), false);
}

int
ctl_jobs_cancel(struct ctl_call *call)
{
	const struct job *found = find(call);
	struct job *j = found ? jobs_find(&call->master->jobs, found->id) : NULL;
	struct err e;

	if (j == NULL)
		return 0;
	if (job_is_final(j))
		return ctl_fail(call, CTL_E_FAILED_PRECONDITION,
		    json_pack("{s:s}", "why", "ended"), "job %s has ended already: %s",
		    j->id, job_state_name(j->state));
	if (reload_cancel(call->master, j, &e) < 0)
		return ctl_fail(call, CTL_E_FAILED_PRECONDITION,
		    json_pack("{s:o}", "why", ctl_text(str_of(e.text))), "%s", e.text);
	return ctl_reply(call, job_to_json(j));
}
