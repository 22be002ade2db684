/* What operators, signals and changed files ask of the reload: start, check, go back,
 * cancel. SPDX-License-Identifier: MIT */
#include "common/log.h"
#include "master/master.h"
#include "master/mold.h"
#include "master/reload_job.h"

#include <stdio.h>

#define BOOT_TIMEOUT_MS 60000 /* unless --load-timeout says otherwise */

void
reload_params_default(const struct master *m, struct reload_params *p)
{
	const struct conf *c = master_conf(m);

	*p = (struct reload_params){
	    .surge = (unsigned)c->reload_surge,
	    .boot_timeout_ms = c->load_timeout > 0 ? c->load_timeout : BOOT_TIMEOUT_MS,
	    .drain_timeout_ms = -1,
	    .soak_ms = c->reload_soak,
	    .keep_ms = c->reload_keep,
	    .max_error_ratio = (double)c->reload_max_error_ratio / 100,
	};
	snprintf(
	    p->check_url, sizeof(p->check_url), "%s", c->check_url ? c->check_url : "");
}

static void
take(struct reload *r, struct job *j, const struct reload_params *p)
{
	r->job = j;
	r->params = *p;
	r->check_only = j->kind == JOB_CHECK;
	r->canary = r->switched = r->soaked = false;
	j->generation_from = r->m->fleet.gen->number;
	j->total = r->m->fleet.wanted;
}

static struct job *
begin(struct master *m, enum job_kind kind, const struct reload_params *p,
    const struct job_by *by, const char **busy)
{
	struct reload *r = m->reload;
	struct job *j;

	*busy = NULL;
	if (m->stopping)
		return NULL;
	if (r->job != NULL &&
	    (p->token[0] == '\0' || strcmp(p->token, r->job->token) != 0)) {
		*busy = r->job->id;
		return NULL;
	}
	j = job_start(&m->jobs, kind, by, p->token, busy);
	if (j == NULL || j == r->job || job_is_final(j))
		return j; /* busy, or the token's job */
	take(r, j, p);
	return j;
}

void
reload_continue(struct master *m, struct job *j)
{
	struct reload_params p;

	reload_params_default(m, &p);
	take(m->reload, j, &p);
	reload_read_config(m->reload);
}

struct job *
reload_start(struct master *m, const struct reload_params *p, const struct job_by *by,
    const char **busy)
{
	struct reload *r = m->reload;
	struct job *j = begin(m, JOB_RELOAD, p, by, busy);

	if (j == NULL || r->job != j || r->phase != RELOAD_NONE)
		return j;
	log_info("master", "reload started", "job=%s by=%s", j->id, by->comm);
	reload_read_config(r);
	return j;
}

struct job *
reload_check(struct master *m, bool canary, const struct job_by *by, const char **busy)
{
	struct reload_params p;
	struct job *j;

	reload_params_default(m, &p);
	j = begin(m, JOB_CHECK, &p, by, busy);
	if (j == NULL || m->reload->job != j || m->reload->phase != RELOAD_NONE)
		return j;
	m->reload->canary = canary;
	reload_read_config(m->reload);
	return j;
}

unsigned
reload_previous(const struct master *m)
{
	const struct generation *g = m->reload->previous;

	return g != NULL && g->mold != NULL && g->mold->state == MOLD_PROVEN ? g->number
									     : 0;
}

struct job *
reload_rollback(struct master *m, const struct job_by *by, const char **busy, struct err *e)
{
	struct reload *r = m->reload;
	struct reload_params p;
	struct job *j;

	*busy = NULL;
	if (r->job != NULL && r->job->kind == JOB_RELOAD && r->phase <= RELOAD_SOAK) {
		j = r->job;
		reload_fail(r, "rollback", "a rollback was asked for", STR(""));
		return j;
	}
	if (reload_previous(m) == 0) {
		err_set(e, "no generation to go back to: none was replaced within "
			   "--reload-keep, or its mold is gone (it needs --preload)");
		return NULL;
	}
	reload_params_default(m, &p);
	p.soak_ms = 0;
	p.check_url[0] = '\0';
	j = begin(m, JOB_ROLLBACK, &p, by, busy);
	if (j == NULL || r->job != j || r->phase != RELOAD_NONE)
		return j;
	log_info("master", "rollback started", "job=%s by=%s to=%u", j->id, by->comm,
	    r->previous->number);
	r->next = generation_ref(r->previous);
	j->generation_to = r->next->number;
	job_step(&m->jobs, j, JOB_BOOTING, NULL);
	reload_probe(r);
	return j;
}

bool
reload_can_roll_back(const struct master *m, const char *job)
{
	const struct reload *r = m->reload;

	return strcmp(r->job != NULL ? r->job->id : r->last_job, job) == 0;
}

int
reload_cancel(struct master *m, struct job *j, struct err *e)
{
	struct reload *r = m->reload;

	if (r->job != j)
		return err_set(e, "job %s does not run", j->id);
	if (r->phase == RELOAD_DRAIN || r->phase == RELOAD_BACK)
		return err_set(e,
		    "job %s is past the point where it can be taken back "
		    "(use rollback)",
		    j->id);
	reload_stop(r, JOB_CANCELLED, "cancelled", "it was cancelled", STR(""));
	return 0;
}

void
master_reload(struct master *m, const char *who)
{
	struct reload_params p;
	struct job_by by = {.uid = getuid(), .pid = 0};
	const char *busy;

	snprintf(by.comm, sizeof(by.comm), "%s", who);
	reload_params_default(m, &p);
	if (reload_start(m, &p, &by, &busy) != NULL || m->stopping)
		return;
	if (m->reload->job != NULL)
		snprintf(m->reload->again, sizeof(m->reload->again), "%s", who);
	log_info("master",
	    m->reload->job ? "reload follows the one that runs"
			   : "reload refused, another job runs",
	    "job=%s by=%s", busy ? busy : "none", who);
}

void
reload_abandon(struct master *m)
{
	struct reload *r = m->reload;

	if (r == NULL)
		return;
	r->again[0] = '\0';
	if (r->job != NULL)
		reload_end(r, JOB_CANCELLED, "stop", "the instance stops", STR(""));
}
