/* Reload: the job's states and what moves it from one to the next.
 * SPDX-License-Identifier: MIT */
#include "master/reload.h"

#include "common/conf_option.h"
#include "common/log.h"
#include "master/clock.h"
#include "master/master.h"
#include "master/mold.h"
#include "master/notify.h"
#include "master/reload_job.h"
#include "master/said.h"

#include <event2/event.h>
#include <stdio.h>

void
reload_arm(struct reload *r, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	if (ms > 0)
		evtimer_add(r->timer, &tv);
	else
		evtimer_del(r->timer);
}

/* ---- The end of a job ---- */

static void
keep_previous(struct reload *r)
{
	int64_t ms = r->params.keep_ms;
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	event_del(r->keep_timer);
	if (r->previous != NULL)
		event_add(r->keep_timer, &tv);
}

static const struct {
	enum job_state state;
	const char *type, *text;
	enum log_level level;
} endings[] = {
    {JOB_DONE, "reload.done", "reload done", LOG_LVL_INFO},
    {JOB_ROLLED_BACK, "reload.rolled_back", "reload rolled back", LOG_LVL_ERROR},
    {JOB_FAILED, "reload.failed", "reload failed", LOG_LVL_ERROR},
    {JOB_CANCELLED, "reload.failed", "reload cancelled", LOG_LVL_WARN},
};

static void
announce_end(struct reload *r, const struct job *j)
{
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		if (endings[i].state != j->state)
			continue;
		log_event(endings[i].level, "master", endings[i].text,
		    "job=%s generation=%u%s%s%s%s%s", j->id, r->m->fleet.gen->number,
		    j->stage[0] ? " stage=" : "", j->stage, j->why[0] ? " reason=\"" : "",
		    j->why, j->why[0] ? "\"" : "");
		/* What changed nothing is told as job.changed. */
		if (j->kind != JOB_CHECK)
			events_emit(&r->m->events, endings[i].type, job_to_event(j));
	}
}

/* What is only tried says all it says before it ends; what stays goes on saying it. */
static int
hear(struct reload *r, struct err *e)
{
	const struct spawn_setup *s = &r->m->fleet.spawn;

	if (!r->check_only)
		return 0;
	r->said = said_open(r->m->base, s->captured ? s->logs->error_fd : STDERR_FILENO, e);
	if (r->said == NULL)
		return -1;
	r->next->said_fd = said_fd(r->said);
	return 0;
}

static void
stop_hearing(struct reload *r, struct job *j)
{
	if (r->said == NULL)
		return;
	if (r->next != NULL)
		r->next->said_fd = 0;
	j->stderr_tail = said_take(r->said);
	said_close(TAKE_PTR(r->said));
}

void
reload_end(struct reload *r, enum job_state state, const char *stage, const char *why,
    struct str text)
{
	struct job *j = r->job;
	char again[sizeof(r->again)];

	evtimer_del(r->timer);
	reload_soak_stop(r);
	preflight_finish(&r->preflight);
	r->phase = RELOAD_NONE;
	r->job = NULL;
	r->probe = NULL;
	stop_hearing(r, j);
	generation_unref(TAKE_PTR(r->next));
	keep_previous(r);
	if (state == JOB_DONE && !r->check_only)
		snprintf(r->last_job, sizeof(r->last_job), "%s", j->id);
	job_end(&r->m->jobs, j, state, stage, why, text);
	announce_end(r, j);
	if (!r->check_only)
		selfcount_reload(&r->m->self, j, r->params.bluegreen);
	free(TAKE_PTR(r->fail_text));
	if (!r->check_only && !r->m->stopping)
		notify_ready(); /* also after a failure: the old generation serves */
	memcpy(again, r->again, sizeof(again));
	r->again[0] = '\0';
	if (again[0] != '\0' && !r->m->stopping)
		master_reload(r->m, again);
}

/* Before the switch nothing has changed, and nothing needs to be taken back. */
static void
drop_next(struct reload *r)
{
	struct fleet *f = &r->m->fleet;

	for (struct proc *p = f->procs; p != NULL; p = p->next)
		if (p->gen == r->next) {
			struct slot *s = f->slots[p->slot];

			if (s->coming == p)
				s->coming = NULL;
			proc_end(p, PROC_ROLLED_BACK);
			if (s->serving == NULL && s->index < f->wanted && !s->waiting)
				slot_start_in(s, 0, s->why);
		}
}

void
reload_stop(struct reload *r, enum job_state state, const char *stage, const char *why,
    struct str text)
{
	if (r->phase == RELOAD_NONE || r->phase == RELOAD_DRAIN || r->phase == RELOAD_BACK)
		return;
	if (!r->switched) {
		if (r->next != NULL)
			drop_next(r);
		reload_end(r, state, stage, why, text);
		return;
	}
	snprintf(r->fail_stage, sizeof(r->fail_stage), "%s", stage);
	snprintf(r->fail_why, sizeof(r->fail_why), "%s", why);
	r->fail_text = text.n > 0 ? strndup(text.p, text.n) : NULL;
	reload_back(r);
}

void
reload_fail(struct reload *r, const char *stage, const char *why, struct str text)
{
	reload_stop(r, JOB_FAILED, stage, why, text);
}

/* ---- Steps ---- */

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	static const char *const stages[] = {
	    [RELOAD_CONFIG] = "config",
	    [RELOAD_MOLD] = "import",
	    [RELOAD_PROBE] = "probe",
	    [RELOAD_ASK] = "check_url",
	    [RELOAD_REPLACE] = "booting",
	};
	struct reload *r = arg;
	char why[128];

	(void)fd;
	(void)what;
	if (r->phase == RELOAD_BACK) {
		reload_end(r, JOB_FAILED, r->fail_stage, r->fail_why, str_of(r->fail_text));
		return;
	}
	if ((size_t)r->phase >= ARRAY_LEN(stages) || stages[r->phase] == NULL)
		return;
	snprintf(why, sizeof(why), "not ready within %lld.%03lld s",
	    (long long)(r->params.boot_timeout_ms / 1000),
	    (long long)(r->params.boot_timeout_ms % 1000));
	reload_fail(r, stages[r->phase], why, STR(""));
}

static void
on_soak_tick(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval second = {.tv_sec = 1};
	struct reload *r = arg;
	bool last = clock_ms() >= r->soak_ends_ms;
	char why[256];

	(void)fd;
	(void)what;
	if (r->phase != RELOAD_SOAK)
		return;
	if (reload_soak_bad(r, last, why, sizeof(why))) {
		reload_fail(r, "soak", why, STR(""));
	} else if (last) {
		reload_soak_end(r);
		reload_roll(r);
	} else {
		event_add(r->soak_timer, &second);
	}
}

static void
on_keep_over(evutil_socket_t fd, short what, void *arg)
{
	struct reload *r = arg;

	(void)fd;
	(void)what;
	generation_unref(TAKE_PTR(r->previous));
}

/* Says what is new, and which of it this reload cannot bring. */
static void
report_changes(struct reload *r, const struct conf *conf)
{
	struct preflight_change v[CONF_COUNT + 1];
	size_t n = preflight_changed(master_conf(r->m), conf, v);
	json_t *now = json_array(), *later = json_array();

	for (size_t i = 0; i < n; i++) {
		const char *name =
		    v[i].id == CONF_COUNT ? "APP" : conf_options[v[i].id].name;

		json_array_append_new(
		    v[i].effect == EFFECT_START ? later : now, json_string(name));
		if (v[i].effect == EFFECT_START)
			log_warn("master", "this option changes with a new start only",
			    "option=%s job=%s", name, r->job->id);
	}
	if (n > 0)
		events_emit(&r->m->events, "config.changed",
		    json_pack("{s:s, s:O, s:O}", "job", r->job->id, "changed", now,
			"needs_start", later));
	json_decref(now);
	json_decref(later);
}

static void
load_next(struct reload *r, struct conf *conf)
{
	struct master *m = r->m;
	struct err e = {""};

	if (preflight_keep_started(conf, &m->heritage.conf, &e) == 0)
		r->next = generation_create(++m->last_generation, conf, &m->heritage, &e);
	if (r->next == NULL || hear(r, &e) < 0) {
		reload_fail(r, "config", e.text, STR(""));
		return;
	}
	r->job->generation_to = r->next->number;
	if (!mold_is_wanted(r->next)) {
		reload_probe(r);
		return;
	}
	r->phase = RELOAD_MOLD;
	r->next->mold = mold_start(&m->fleet, r->next, &e);
	if (r->next->mold == NULL)
		reload_fail(r, "import", e.text, STR(""));
	else
		reload_arm(r, r->params.boot_timeout_ms);
}

void
reload_forget_previous(struct master *m)
{
	event_del(m->reload->keep_timer);
	generation_unref(TAKE_PTR(m->reload->previous));
}

/* The configuration is read: the new generation exists from here. */
static void
on_config(void *ctx, const struct preflight_result *result)
{
	struct reload *r = ctx;
	struct conf conf;

	if (r->phase != RELOAD_CONFIG)
		return;
	if (result->conf == NULL) {
		reload_fail(r, "config", result->why, result->said);
		return;
	}
	for (size_t i = 0; i < result->notices.n; i++)
		log_warn("conf", "notice", "%s", result->notices.v[i]);
	if (result->said.n > 0)
		log_text(LOG_LVL_INFO, "conf", "said while it was read", result->said);
	report_changes(r, result->conf);
	if (r->check_only && !r->canary) {
		reload_end(r, JOB_DONE, NULL, NULL, STR(""));
		return;
	}
	conf_move(&conf, result->conf);
	load_next(r, &conf);
}

void
reload_on_mold(struct master *m, struct mold *mold, bool loaded, struct str text)
{
	struct reload *r = m->reload;

	if (r->phase != RELOAD_MOLD || mold->gen != r->next)
		return;
	if (!loaded) {
		log_text(LOG_LVL_ERROR, "master", "application not loaded", text);
		reload_fail(r, "import", "the application could not be loaded", text);
		return;
	}
	reload_probe(r);
}

static void
probe_passed(struct reload *r)
{
	struct proc *p = TAKE_PTR(r->probe);

	if (r->check_only) {
		drop_next(r);
		reload_end(r, JOB_DONE, NULL, NULL, STR(""));
		return;
	}
	if (!r->params.bluegreen) {
		r->switched = true;
		job_step(&r->m->jobs, r->job, JOB_SWITCHING, NULL);
		fleet_take_over(&r->m->fleet, p);
	}
	reload_roll(r);
}

void
reload_on_ready(struct master *m, struct proc *p)
{
	struct reload *r = m->reload;

	if (r->phase == RELOAD_BACK) {
		reload_roll_back(r);
		return;
	}
	if (r->phase == RELOAD_REPLACE && p->gen == r->next) {
		r->switched |= !p->parked;
		reload_roll(r);
		return;
	}
	if (r->phase != RELOAD_PROBE || p != r->probe)
		return;
	if (r->params.check_url[0] == '\0') {
		probe_passed(r);
		return;
	}
	r->phase = RELOAD_ASK;
	if (proc_tell(p, MSG_CHECK, r->params.check_url, strlen(r->params.check_url)) < 0)
		reload_fail(r, "check_url", "the probe worker cannot be told", STR(""));
}

void
reload_on_checked(struct master *m, struct proc *p, unsigned status, struct str text)
{
	struct reload *r = m->reload;
	char why[256];

	if (r->phase != RELOAD_ASK || p != r->probe)
		return;
	if (status >= 200 && status < 400) {
		probe_passed(r);
		return;
	}
	if (status > 0)
		snprintf(why, sizeof(why), "%.180s was answered %u", r->params.check_url,
		    status);
	else
		snprintf(why, sizeof(why), "%.120s was not answered: %.*s",
		    r->params.check_url, (int)MIN(text.n, 100u), text.p);
	reload_fail(r, "check_url", why, STR(""));
}

void
reload_on_failed(struct master *m, struct proc *p)
{
	struct reload *r = m->reload;

	if (r->phase != RELOAD_NONE && r->next != NULL && p->gen == r->next)
		reload_fail(r, r->phase == RELOAD_REPLACE ? "booting" : "import",
		    p->refused ? "the options cannot be met"
			       : "the application could not be loaded",
		    p->failure);
}

void
reload_on_gone(struct master *m, struct proc *p)
{
	struct reload *r = m->reload;
	char why[128];

	if (r->phase == RELOAD_DRAIN) {
		reload_check_drained(r);
	} else if (r->phase == RELOAD_BACK) {
		reload_roll_back(r);
	} else if (r->phase != RELOAD_NONE && p->gen == r->next && !p->expected &&
		   !p->failed) {
		snprintf(why, sizeof(why), "worker %u of the new generation died: %s",
		    p->slot, m->fleet.slots[p->slot]->last_cause);
		reload_fail(r,
		    r->phase == RELOAD_SOAK ? "soak"
		    : p == r->probe         ? "probe"
					    : "booting",
		    why, STR(""));
	}
}

bool
reload_on_child(struct master *m, pid_t pid, int status)
{
	return preflight_reap(&m->reload->preflight, pid, status);
}

void
reload_read_config(struct reload *r)
{
	struct err e = {""};

	r->phase = RELOAD_CONFIG;
	if (!r->check_only)
		notify_reloading();
	job_step(&r->m->jobs, r->job, JOB_PREFLIGHT, NULL);
	if (preflight_start(&r->preflight, r->m->base, r->m->argc, r->m->argv, NULL, &e) <
	    0)
		reload_fail(r, "config", e.text, STR(""));
}

int
reload_open(struct master *m, struct err *e)
{
	struct reload *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return err_set(e, "out of memory");
	m->reload = r;
	r->m = m;
	preflight_init(&r->preflight);
	r->preflight.on_done = on_config;
	r->preflight.ctx = r;
	r->timer = evtimer_new(m->base, on_timeout, r);
	r->soak_timer = evtimer_new(m->base, on_soak_tick, r);
	r->keep_timer = evtimer_new(m->base, on_keep_over, r);
	if (r->timer == NULL || r->soak_timer == NULL || r->keep_timer == NULL)
		return err_set(e, "out of memory");
	return 0;
}

void
reload_close(struct master *m)
{
	struct reload *r = m->reload;

	if (r == NULL)
		return;
	event_free(r->timer);
	event_free(r->soak_timer);
	event_free(r->keep_timer);
	preflight_finish(&r->preflight);
	said_close(r->said);
	generation_unref(r->next);
	generation_unref(r->previous);
	free(r->fail_text);
	free(TAKE_PTR(m->reload));
}
