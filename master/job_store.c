/* Jobs as JSON and in the file that remembers them across masters.
 * SPDX-License-Identifier: MIT */
#include "master/job_store.h"

#include "common/log.h"
#include "master/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define FILE_MODE 0600

static void
set_text(json_t *v, const char *key, const char *text)
{
	if (text == NULL || *text == '\0')
		return;
	/* What a process printed may be anything. */
	json_object_set_new(v, key, text_lines_to_json(str_of(text)));
}

/* What an event and the whole job have in common. */
static json_t *
outline(const struct job *j)
{
	json_t *v = json_pack("{s:s, s:s, s:s, s:{s:I, s:I}}", "job", j->id, "kind",
	    job_kind_name(j->kind), "state", job_state_name(j->state), "by", "uid",
	    (json_int_t)j->by.uid, "pid", (json_int_t)j->by.pid);

	if (v == NULL)
		return NULL;
	set_text(json_object_get(v, "by"), "comm", j->by.comm);
	if (j->generation_from != 0)
		json_object_set_new(v, "generation_from", json_integer(j->generation_from));
	if (j->generation_to != 0)
		json_object_set_new(v, "generation_to", json_integer(j->generation_to));
	if (j->total != 0)
		json_object_set_new(v, "progress",
		    json_pack("{s:i, s:i}", "done", (int)j->done, "total", (int)j->total));
	set_text(v, "stage", j->stage);
	set_text(v, "why", j->why);
	set_text(v, "warning", j->warning);
	return v;
}

json_t *
job_to_event(const struct job *j)
{
	json_t *v = outline(j);
	size_t n = j->traceback != NULL ? strlen(j->traceback) : 0;
	const char *end = j->traceback;

	if (n > JOB_EVENT_TEXT_MAX)
		end += n - JOB_EVENT_TEXT_MAX;
	while (end != NULL && (*end & 0xC0) == 0x80)
		end++; /* not from the middle of a character */
	if (v != NULL)
		set_text(v, "traceback", end);
	return v;
}

json_t *
job_to_json(const struct job *j)
{
	json_t *v = outline(j);

	if (v == NULL)
		return NULL;
	json_object_set_new(v, "started", json_real(j->started));
	set_text(v, "token", j->token);
	if (job_is_final(j))
		json_object_set_new(v, "ended", json_real(j->ended));
	set_text(v, "traceback", j->traceback);
	set_text(v, "stderr_tail", j->stderr_tail);
	if (j->result != NULL)
		json_object_set(v, "result", j->result);
	json_object_set_new(v, "steps", json_deep_copy(j->steps));
	return v;
}

json_t *
jobs_to_json(const struct jobs *js)
{
	json_t *list = json_array();

	for (size_t i = 0; i < js->n; i++)
		json_array_append_new(list, job_to_json(js->v[i]));
	return json_pack(
	    "{s:I, s:o}", "last_number", (json_int_t)js->last_number, "jobs", list);
}

static int
find_name(const char *name, const char *(*name_of)(int), int n)
{
	for (int i = 0; name != NULL && i < n; i++)
		if (strcmp(name_of(i), name) == 0)
			return i;
	return -1;
}

static const char *
kind_name(int i)
{
	return job_kind_name((enum job_kind)i);
}

static const char *
state_name(int i)
{
	return job_state_name((enum job_state)i);
}

static void
get_text(const json_t *v, const char *key, char *to, size_t max)
{
	const char *text = json_string_value(json_object_get(v, key));

	snprintf(to, max, "%s", text ? text : "");
}

static char *
get_long_text(const json_t *v, const char *key)
{
	const char *text = json_string_value(json_object_get(v, key));

	return text ? strndup(text, JOB_TEXT_MAX) : NULL;
}

static unsigned
get_unsigned(const json_t *v, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(v, key));

	return n > 0 && n <= INT32_MAX ? (unsigned)n : 0;
}

static void
fill_job(struct job *j, const json_t *v)
{
	const json_t *by = json_object_get(v, "by");
	const json_t *progress = json_object_get(v, "progress");

	get_text(v, "job", j->id, sizeof(j->id));
	j->number = (unsigned)(strlen(j->id) > 2 ? strtoul(j->id + 2, NULL, 10) : 0);
	j->by.uid = (uid_t)json_integer_value(json_object_get(by, "uid"));
	j->by.pid = (pid_t)json_integer_value(json_object_get(by, "pid"));
	get_text(by, "comm", j->by.comm, sizeof(j->by.comm));
	get_text(v, "token", j->token, sizeof(j->token));
	get_text(v, "stage", j->stage, sizeof(j->stage));
	get_text(v, "why", j->why, sizeof(j->why));
	get_text(v, "warning", j->warning, sizeof(j->warning));
	j->traceback = get_long_text(v, "traceback");
	j->stderr_tail = get_long_text(v, "stderr_tail");
	j->started = json_number_value(json_object_get(v, "started"));
	j->ended = json_number_value(json_object_get(v, "ended"));
	j->generation_from = get_unsigned(v, "generation_from");
	j->generation_to = get_unsigned(v, "generation_to");
	j->done = get_unsigned(progress, "done");
	j->total = get_unsigned(progress, "total");
	j->result = json_incref(json_object_get(v, "result"));
}

static struct job *
job_from_json(const json_t *v)
{
	int kind =
	    find_name(json_string_value(json_object_get(v, "kind")), kind_name, JOB_KINDS);
	int state = find_name(
	    json_string_value(json_object_get(v, "state")), state_name, JOB_STATES);
	json_t *steps = json_object_get(v, "steps");
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->steps = json_is_array(steps) ? json_deep_copy(steps) : json_array();
	fill_job(j, v);
	if (kind < 0 || state < 0 || j->id[0] == '\0' || j->steps == NULL) {
		job_destroy(j);
		return NULL;
	}
	j->kind = (enum job_kind)kind;
	j->state = (enum job_state)state;
	return j;
}

int
jobs_from_json(struct jobs *js, const json_t *v, struct err *e)
{
	const json_t *list = json_object_get(v, "jobs");
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n > JOBS_KEPT)
		return err_set(e, "no list of jobs");
	while (js->n > 0)
		job_destroy(js->v[--js->n]);
	js->last_number = get_unsigned(v, "last_number");
	for (size_t i = 0; i < n; i++) {
		struct job *j = job_from_json(json_array_get(list, i));

		if (j == NULL)
			return err_set(e, "job %zu of the list is none", i);
		js->v[js->n++] = j;
		js->last_number = MAX(js->last_number, j->number);
	}
	return 0;
}

/* Whoever ran these is gone. */
static void
end_orphans(struct jobs *js)
{
	for (size_t i = 0; i < js->n; i++)
		if (!job_is_final(js->v[i]))
			job_end(js, js->v[i], JOB_FAILED, "master",
			    "the master ended before the job did", (struct str){0});
}

static void
load(struct jobs *js)
{
	json_error_t where;
	struct err e = {""};
	json_t *v = json_load_file(js->state_file, JSON_REJECT_DUPLICATES, &where);

	if (v == NULL && access(js->state_file, F_OK) != 0)
		return;
	if (v == NULL || jobs_from_json(js, v, &e) < 0)
		log_warn("jobs", "earlier jobs cannot be read", "file=%s reason=\"%s\"",
		    js->state_file, v ? e.text : where.text);
	json_decref(v);
	end_orphans(js);
}

int
job_store_open(struct jobs *js, const char *state_dir, struct err *e)
{
	if (state_dir == NULL || *state_dir == '\0')
		return 0;
	if (access(state_dir, W_OK | X_OK) < 0)
		return err_errno(e,
		    "the state directory %s cannot be written to (--state-dir): create "
		    "it, or give it to this user",
		    state_dir);
	if (asprintf(&js->state_file, "%s/jobs.json", state_dir) < 0) {
		js->state_file = NULL;
		return err_set(e, "out of memory");
	}
	load(js);
	return 0;
}

static int
write_file(const char *path, const json_t *v)
{
	AUTO_FD int fd =
	    open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);

	return fd < 0 ? -1 : json_dumpfd(v, fd, JSON_COMPACT);
}

void
job_store_save(struct jobs *js)
{
	AUTO_FREE char *tmp = NULL;
	static bool told;
	json_t *v;
	int rc = -1;

	if (js->state_file == NULL)
		return;
	v = jobs_to_json(js);
	if (asprintf(&tmp, "%s.new", js->state_file) < 0)
		tmp = NULL;
	if (v != NULL && tmp != NULL && write_file(tmp, v) == 0)
		rc = rename(tmp, js->state_file);
	if (rc != 0 && !told) {
		told = true;
		log_warn("jobs", "jobs cannot be remembered", "file=%s reason=\"%s\"",
		    js->state_file, strerror(errno));
	}
	json_decref(v);
}
