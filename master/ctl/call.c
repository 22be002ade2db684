/* Calls: how a method answers, at once or later, and what is written down about it.
 * SPDX-License-Identifier: MIT */
#include "master/ctl/server.h"
#include "master/master.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>

static int (*const handlers[CTL_METHODS])(struct ctl_call *call) = {
#define METHOD(ident, ...) [CTL_M_##ident] = ctl_##ident,
#define PARAM(...)
#include "common/ctl.def"
#undef METHOD
#undef PARAM
};

void
ctl_audit(struct ctl *c, const struct ctl_peer *peer, const struct ctl_method *method,
    const json_t *params, const char *outcome)
{
	char digest[16] = "-";

	if (json_object_size(params) > 0)
		snprintf(digest, sizeof(digest), "%08x", ctl_digest(params));
	/* Who may not cannot flood the log either; who may is written down in any case. */
	if (peer->role >= method->role || ctl_may_log(c))
		log_info("control", "call",
		    "method=%s params=%s outcome=%s uid=%u pid=%d comm=\"%s\"",
		    method->name, digest, outcome, (unsigned)peer->uid, (int)peer->pid,
		    peer->comm);
	events_emit(&c->master->events, "control.call",
	    json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "method", method->name, "params",
		digest, "outcome", outcome, "uid", (json_int_t)peer->uid, "pid",
		(json_int_t)peer->pid, "comm", peer->comm));
}

static void
unlink_call(struct ctl_call *call)
{
	for (struct ctl_call **at = &call->ctl->waiting; *at != NULL; at = &(*at)->next)
		if (*at == call) {
			*at = call->next;
			return;
		}
}

static void
free_call(struct ctl_call *call)
{
	if (call->deferred)
		unlink_call(call);
	if (call->timer != NULL)
		event_free(call->timer);
	json_decref(call->params);
	json_decref(call->id);
	free(call);
}

static void
count(const struct ctl_call *call, bool ok)
{
	selfcount_call(&call->master->self, (unsigned)(call->method - ctl_methods), ok,
	    ctl_now_us() - call->began_us);
}

static void
end_call(struct ctl_call *call, bool ok, const char *outcome)
{
	struct ctl_conn *conn = call->conn;

	count(call, ok);
	if (call->method->audit)
		ctl_audit(call->ctl, &call->peer, call->method, call->params, outcome);
	free_call(call);
	conn->in_flight--;
	ctl_conn_resume(conn);
}

/* NULL: it is too long, or there is no memory. */
static char *
result_line(json_t *id, json_t *result)
{
	json_t *v =
	    json_pack("{s:s, s:O, s:O}", "jsonrpc", "2.0", "id", id, "result", result);
	size_t n = v ? json_dumpb(v, NULL, 0, CTL_DUMP) : 0;
	char *line = n > 0 && n < CTL_REPLY_MAX ? malloc(n + 2) : NULL;

	if (line != NULL) {
		json_dumpb(v, line, n, CTL_DUMP);
		memcpy(line + n, "\n", 2);
	}
	json_decref(v);
	return line;
}

int
ctl_reply(struct ctl_call *call, json_t *result)
{
	AUTO_FREE char *line = NULL;

	if (result == NULL)
		return ctl_fail(call, CTL_E_INTERNAL, NULL, "out of memory");
	if (call->answer != NULL) {
		call->answer(call, true, result, "");
	} else {
		line = result_line(call->id, result);
		if (line == NULL) {
			json_decref(result);
			return ctl_fail(call, CTL_E_TOO_LARGE,
			    json_pack("{s:i}", "limit", CTL_REPLY_MAX),
			    "the answer is larger than %d bytes; ask for less of it",
			    CTL_REPLY_MAX);
		}
		ctl_conn_send(call->conn, line, strlen(line));
	}
	json_decref(result);
	end_call(call, true, "ok");
	return 0;
}

int
ctl_fail(struct ctl_call *call, enum ctl_kind kind, json_t *data, const char *fmt, ...)
{
	char why[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (call->answer != NULL) {
		call->answer(call, false, data, why);
		json_decref(data);
	} else {
		AUTO_FREE char *line = ctl_error_line(call->id, kind, data, why);

		if (line != NULL)
			ctl_conn_send(call->conn, line, strlen(line));
	}
	end_call(call, false, ctl_errors[kind].kind);
	return 0;
}

int
ctl_reply_job(struct ctl_call *call, const struct job *j, const char *busy)
{
	if (j != NULL)
		return ctl_reply(call, job_to_json(j));
	if (busy == NULL)
		return ctl_fail(
		    call, CTL_E_SHUTTING_DOWN, NULL, "the instance is stopping");
	return ctl_fail(call, CTL_E_BUSY, json_pack("{s:s}", "job", busy),
	    "job %s runs; wait for it (jobs.wait), or cancel it", busy);
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct ctl_call *call = arg;
	json_t *data = json_object();
	(void)fd, (void)what;

	if (call->on_end != NULL)
		call->on_end(call);
	if (call->job[0] != '\0')
		json_object_set_new(data, "job", json_string(call->job));
	ctl_fail(call, CTL_E_TIMEOUT, data, "%s %s%s%s", call->method->name,
	    call->late ? call->late : "took too long",
	    call->job[0] ? "; still running: job " : "", call->job);
}

int
ctl_defer(struct ctl_call *call, int64_t timeout_ms, void (*on_end)(struct ctl_call *call),
    void *ctx)
{
	struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};

	call->on_end = on_end;
	call->ctx = ctx;
	call->timer = evtimer_new(call->master->base, on_timeout, call);
	if (call->timer == NULL || evtimer_add(call->timer, &tv) < 0) {
		if (on_end != NULL)
			on_end(call);
		return ctl_fail(call, CTL_E_INTERNAL, NULL, "out of memory");
	}
	call->deferred = true;
	call->next = call->ctl->waiting;
	call->ctl->waiting = call;
	return 0;
}

/* ctx of a call that waits for a job: whether a bad end is an error. */
static char strict_wait;

static int
answer_job(struct ctl_call *call, const struct job *j)
{
	if (call->ctx == &strict_wait && j->state != JOB_DONE)
		return ctl_fail(call, CTL_E_JOB_FAILED, job_to_json(j), "job %s: %s%s%s",
		    j->id, job_state_name(j->state), j->why[0] ? ": " : "", j->why);
	return ctl_reply(call, job_to_json(j));
}

int
ctl_wait_job(struct ctl_call *call, const struct job *j, int64_t timeout_ms, bool strict)
{
	call->ctx = strict ? &strict_wait : NULL;
	if (job_is_final(j))
		return answer_job(call, j);
	snprintf(call->job, sizeof(call->job), "%s", j->id);
	return ctl_defer(call, timeout_ms, NULL, call->ctx);
}

void
ctl_calls_job_changed(struct ctl *c, const struct job *j)
{
	struct ctl_call *next;

	if (!job_is_final(j))
		return;
	for (struct ctl_call *call = c->waiting; call != NULL; call = next) {
		next = call->next;
		if (strcmp(call->job, j->id) == 0)
			answer_job(call, j);
	}
}

/* Of one connection, or of all. */
static void
forget(struct ctl *c, const struct ctl_conn *conn)
{
	struct ctl_call *next;

	for (struct ctl_call *call = c->waiting; call != NULL; call = next) {
		next = call->next;
		if (conn != NULL && call->conn != conn)
			continue;
		if (call->on_end != NULL)
			call->on_end(call);
		if (call->answer != NULL)
			free(call->state);
		count(call, false);
		if (call->method->audit)
			ctl_audit(
			    c, &call->peer, call->method, call->params, "client gone");
		free_call(call);
	}
}

void
ctl_calls_forget(struct ctl *c, struct ctl_conn *conn)
{
	forget(c, conn);
}

void
ctl_calls_finish(struct ctl *c)
{
	forget(c, NULL);
}

void
ctl_call_run(struct ctl_conn *conn, const struct ctl_method *method, json_t *id,
    json_t *params, ctl_answer_fn *answer, void *state)
{
	struct ctl_call *call = calloc(1, sizeof(*call));

	if (call == NULL) {
		conn->broken = true;
		free(state);
		return;
	}
	call->ctl = conn->ctl;
	call->master = conn->ctl->master;
	call->conn = conn;
	call->method = method;
	call->peer = conn->peer;
	call->began_us = ctl_now_us();
	call->id = json_incref(id);
	call->params = json_incref(params);
	call->answer = answer;
	call->state = state;
	conn->in_flight++;
	handlers[method - ctl_methods](call);
}
