/* Jobs: which may run together, their steps and their ends.
 * SPDX-License-Identifier: MIT */
#include "master/job.h"

#include "master/job_store.h"

#include <stdio.h>
#include <time.h>

#define TOKEN_LIFE_S 600
/* Steps beyond are left out, except for a change of state. */
#define STEPS_MAX 256

static const struct {
	const char *name;
	char letter;
	bool exclusive;
} kinds[] = {
    [JOB_RELOAD] = {"reload", 'r', true},
    [JOB_ROLLBACK] = {"rollback", 'r', true},
    [JOB_CHECK] = {"check", 'k', false},
    [JOB_SCALE] = {"scale", 's', true},
    [JOB_RECYCLE] = {"recycle", 'c', true},
    [JOB_DRAIN] = {"drain", 'd', false},
    [JOB_STOP] = {"stop", 'x', true},
    [JOB_UPGRADE] = {"upgrade", 'u', true},
};

static const char *const state_names[] = {
    [JOB_QUEUED] = "queued",
    [JOB_PREFLIGHT] = "preflight",
    [JOB_BOOTING] = "booting",
    [JOB_SWITCHING] = "switching",
    [JOB_DRAINING] = "draining",
    [JOB_SOAKING] = "soaking",
    [JOB_ROLLING_BACK] = "rolling_back",
    [JOB_DONE] = "done",
    [JOB_ROLLED_BACK] = "rolled_back",
    [JOB_FAILED] = "failed",
    [JOB_CANCELLED] = "cancelled",
};

_Static_assert(ARRAY_LEN(kinds) == JOB_KINDS, "every kind has a row");
_Static_assert(ARRAY_LEN(state_names) == JOB_STATES, "every state has a name");

const char *
job_kind_name(enum job_kind k)
{
	return kinds[k].name;
}

const char *
job_state_name(enum job_state s)
{
	return state_names[s];
}

bool
job_is_final(const struct job *j)
{
	return j->state >= JOB_DONE;
}

static double
unix_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)(now.tv_nsec / 1000) / 1e6;
}

struct job *
jobs_find(struct jobs *js, const char *id)
{
	for (size_t i = 0; i < js->n; i++)
		if (strcmp(js->v[i]->id, id) == 0)
			return js->v[i];
	return NULL;
}

struct job *
jobs_running(struct jobs *js)
{
	for (size_t i = js->n; i-- > 0;)
		if (kinds[js->v[i]->kind].exclusive && !job_is_final(js->v[i]))
			return js->v[i];
	return NULL;
}

static struct job *
find_token(struct jobs *js, enum job_kind kind, const char *token)
{
	double now = unix_now();

	if (token == NULL || *token == '\0')
		return NULL;
	for (size_t i = js->n; i-- > 0;) {
		struct job *j = js->v[i];

		if (j->kind == kind && strcmp(j->token, token) == 0 &&
		    now - j->started < TOKEN_LIFE_S)
			return j;
	}
	return NULL;
}

/* What stands in the way of a new one: its class's running job. */
static struct job *
find_rival(struct jobs *js, enum job_kind kind)
{
	if (kind == JOB_STOP)
		return NULL;
	if (kinds[kind].exclusive)
		return jobs_running(js);
	for (size_t i = js->n; i-- > 0;)
		if (js->v[i]->kind == kind && !job_is_final(js->v[i]))
			return js->v[i];
	return NULL;
}

static bool
make_room(struct jobs *js)
{
	for (size_t i = 0; js->n == JOBS_KEPT && i < js->n; i++)
		if (job_is_final(js->v[i])) {
			job_destroy(js->v[i]);
			js->n--;
			memmove(js->v + i, js->v + i + 1, (js->n - i) * sizeof(js->v[0]));
		}
	return js->n < JOBS_KEPT;
}

static void
tell_change(struct jobs *js, const struct job *j)
{
	if (js->on_change != NULL)
		js->on_change(js->ctx, j);
}

static void
add_step(struct job *j, enum job_state state, json_t *detail)
{
	json_t *step = detail ? detail : json_object();

	json_object_set_new(step, "state", json_string(state_names[state]));
	json_object_set_new(step, "t", json_real(unix_now()));
	json_array_append_new(j->steps, step);
}

struct job *
job_start(struct jobs *js, enum job_kind kind, const struct job_by *by, const char *token,
    const char **busy)
{
	struct job *j = find_token(js, kind, token);

	*busy = NULL;
	if (j != NULL)
		return j;
	j = find_rival(js, kind);
	if (j == NULL && !make_room(js))
		j = js->v[0];
	if (j != NULL) {
		*busy = j->id;
		return NULL;
	}
	j = calloc(1, sizeof(*j));
	if (j == NULL || (j->steps = json_array()) == NULL) {
		free(j);
		return NULL;
	}
	j->number = ++js->last_number;
	snprintf(j->id, sizeof(j->id), "%c-%u", kinds[kind].letter, j->number);
	j->kind = kind;
	j->by = *by;
	snprintf(j->token, sizeof(j->token), "%s", token ? token : "");
	j->started = unix_now();
	js->v[js->n++] = j;
	job_store_save(js);
	tell_change(js, j);
	return j;
}

void
job_step(struct jobs *js, struct job *j, enum job_state state, json_t *detail)
{
	bool changed = j->state != state;

	if (job_is_final(j)) {
		json_decref(detail);
		return;
	}
	j->state = state;
	if (changed || json_array_size(j->steps) < STEPS_MAX)
		add_step(j, state, detail);
	else
		json_decref(detail);
	if (changed)
		job_store_save(js);
	tell_change(js, j);
}

void
job_end(struct jobs *js, struct job *j, enum job_state state, const char *stage,
    const char *why, struct str traceback)
{
	if (job_is_final(j))
		return;
	j->state = state;
	j->ended = unix_now();
	snprintf(j->stage, sizeof(j->stage), "%s", stage ? stage : "");
	snprintf(j->why, sizeof(j->why), "%s", why ? why : "");
	if (traceback.n > 0) {
		/* Its end says what happened. */
		size_t n = MIN(traceback.n, JOB_TEXT_MAX);

		free(j->traceback);
		j->traceback = strndup(traceback.p + traceback.n - n, n);
	}
	add_step(j, state, NULL);
	job_store_save(js);
	tell_change(js, j);
}

void
job_destroy(struct job *j)
{
	free(j->traceback);
	free(j->stderr_tail);
	json_decref(j->result);
	json_decref(j->steps);
	free(j);
}

int
jobs_init(struct jobs *js, const char *state_dir, struct err *e)
{
	memset(js, 0, sizeof(*js));
	return job_store_open(js, state_dir, e);
}

void
jobs_finish(struct jobs *js)
{
	for (size_t i = 0; i < js->n; i++)
		job_destroy(js->v[i]);
	js->n = 0;
	free(js->state_file);
	js->state_file = NULL;
}
