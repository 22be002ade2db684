/* Follows a job to its end. SPDX-License-Identifier: MIT */
#include "master/cli/follow.h"

#include "master/cli/text.h"

#include <poll.h>
#include <stdio.h>
#include <sys/random.h>

#define WAIT_S 60          /* of one jobs.wait; then asked again */
#define RECONNECT_MS 60000 /* a master that upgrades itself is away for less */
#define RETRY_MS 50
#define ID_MAX 64
#define STEP_MAX 1024

struct follow {
	struct cli *c;
	char id[ID_MAX];     /* of the job */
	json_int_t wait_id;  /* of the request jobs.wait under way */
	json_int_t seq;      /* of the last event seen; 0: none */
	char last[STEP_MAX]; /* the progress line printed last */
	bool begun;
	bool stops; /* the job ends the server: its end is that nobody listens */
};

static const char *const event_types[] = {
    "reload.*", "job.*", "worker.ready", "worker.exit"};

bool
follow_is_final(const char *state)
{
	static const char *const final[] = {"done", "rolled_back", "failed", "cancelled"};

	for (size_t i = 0; i < ARRAY_LEN(final); i++)
		if (strcmp(final[i], state) == 0)
			return true;
	return false;
}

static const char *
clean(const char *s, char *buf, size_t max)
{
	text_clean(s, buf, max, TEXT_ALL_COLUMNS);
	return buf;
}

/* "reload r-18: generation 41 -> 42" */
static void
print_begin(struct follow *f, const json_t *job)
{
	double from = value_number(job, "generation_from", 0);
	double to = value_number(job, "generation_to", 0);
	char kind[ID_MAX], id[ID_MAX];

	if (f->begun)
		return;
	f->begun = true;
	clean(value_string(job, "kind", "job"), kind, sizeof(kind));
	clean(f->id, id, sizeof(id));
	if (from > 0 && to > 0)
		out_line(&f->c->out, "%s %s: generation %.0f -> %.0f", kind, id, from, to);
	else
		out_line(&f->c->out, "%s %s", kind, id);
}

/* Once, however often it is told. */
static void
print_progress(struct follow *f, const char *line)
{
	struct out *o = &f->c->out;
	char text[STEP_MAX * 2];

	if (strcmp(line, f->last) == 0)
		return;
	snprintf(f->last, sizeof(f->last), "%s", line);
	out_line(o, "%s%6.1fs%s  %s", out_sgr(o->colour, OUT_DIM),
	    (double)(link_now() - f->c->started) / 1000, out_sgr(o->colour, OUT_PLAIN),
	    clean(line, text, sizeof(text)));
}

/* "  0.3s  worker 2 ready: pid 9123, generation 43": whoever comes or goes meanwhile. */
static void
print_worker(struct follow *f, const char *type, const json_t *data)
{
	bool ready = strcmp(type, "worker.ready") == 0;
	const char *reason = value_string(data, "reason", value_string(data, "cause", ""));
	char line[STEP_MAX];

	snprintf(line, sizeof(line), "worker %.0f %s: pid %.0f, generation %.0f%s%s",
	    value_number(data, "slot", 0), ready ? "ready" : "gone",
	    value_number(data, "pid", 0), value_number(data, "generation", 0),
	    ready || *reason == '\0' ? "" : ", ", ready ? "" : reason);
	print_progress(f, line);
}

/* "  1.8s  booting 3/8" */
static void
print_step(struct follow *f, const json_t *data)
{
	const char *state = value_string(data, "state", "queued");
	double total = value_number(data, "progress.total", 0);
	char line[STEP_MAX];

	if (follow_is_final(state) || strcmp(state, "queued") == 0)
		return;
	if (total > 0 && strcmp(state, "preflight") != 0)
		snprintf(line, sizeof(line), "%s %.0f/%.0f", state,
		    value_number(data, "progress.done", 0), total);
	else
		snprintf(line, sizeof(line), "%s", state);
	print_progress(f, line);
}

static void
print_text(struct cli *c, const char *title, const char *text)
{
	if (text == NULL || *text == '\0')
		return;
	fflush(c->out.f);
	if (title != NULL)
		fprintf(stderr, "%s\n", title);
	text_put_lines(stderr, text, "");
}

/* The reason goes to standard error, so that it is seen with --quiet and --json, too. */
static void
print_failure(struct cli *c, const json_t *job, const char *state)
{
	const char *stage = value_string(job, "stage", "");
	const char *why = value_string(
	    job, "why", value_string(job, "exception.message", "no reason given"));
	const char *trace =
	    value_string(job, "traceback", value_string(job, "exception.traceback", NULL));
	double serving = value_number(
	    job, "serving_generation", value_number(job, "generation_from", 0));
	char head[STEP_MAX];

	snprintf(head, sizeof(head), "%s %s: %s%s%s: %s", value_string(job, "kind", "job"),
	    value_string(job, "job", "?"), state, *stage ? " at " : "", stage, why);
	cli_say("%s", head);
	print_text(c, NULL, trace);
	if (trace == NULL)
		print_text(c,
		    "What the process wrote last:", value_string(job, "stderr_tail", NULL));
	if (serving > 0)
		fprintf(stderr, "generation %.0f serves on\n", serving);
}

int
follow_show_end(struct cli *c, const json_t *job)
{
	const char *state = value_string(job, "state", "?");
	double to = value_number(job, "generation_to", 0);
	double started = value_number(job, "started", 0),
	       ended = value_number(job, "ended", 0);
	struct out *o = &c->out;
	const char *kind = value_string(job, "kind", "");
	bool serves = strcmp(kind, "reload") == 0 || strcmp(kind, "rollback") == 0;
	char took[64] = "", what[256] = "", raw[256] = "";

	if (!out_for_people(o))
		out_json_value(o, job, false);
	if (strcmp(state, "done") != 0) {
		print_failure(c, job, state);
		return CLI_FAILED;
	}
	if (ended > started && started > 0)
		value_seconds(ended - started, took, sizeof(took));
	if (serves && to > 0)
		snprintf(what, sizeof(what), ": generation %.0f serves", to);
	else if (strcmp(kind, "check") == 0)
		snprintf(what, sizeof(what), ": a reload would work");
	else if (value_at(job, "why") != NULL)
		snprintf(raw, sizeof(raw), ": %s", value_string(job, "why", ""));
	if (*raw != '\0')
		clean(raw, what, sizeof(what));
	if (value_at(job, "warning") != NULL)
		cli_say("warning: %s", value_string(job, "warning", ""));
	out_line(o, "%sdone%s%s%s%s", out_sgr(o->colour, OUT_GREEN),
	    out_sgr(o->colour, OUT_PLAIN), *took ? " in " : "", took, what);
	return CLI_OK;
}

/* Old events again after a reconnect: nothing that happened meanwhile is missing. */
static void
subscribe(struct follow *f)
{
	json_t *params, *types = json_array();

	for (size_t i = 0; i < ARRAY_LEN(event_types); i++)
		json_array_append_new(types, json_string(event_types[i]));
	params = json_pack("{s:o}", "types", types);
	if (f->seq > 0)
		json_object_set_new(params, "since_seq", json_integer(f->seq));
	/* Its reply is not waited for: without the right to see events the job is still
	 * followed to its end. */
	(void)link_send(&f->c->link, "events.subscribe", params);
	json_decref(params);
}

static void
ask_for_end(struct follow *f)
{
	json_t *params = json_pack("{s:s, s:i}", "job", f->id, "timeout_s", WAIT_S);

	f->wait_id = link_send(&f->c->link, "jobs.wait", params);
	json_decref(params);
}

static int
still_running(const struct follow *f, const char *why)
{
	cli_say("%s; the job goes on: shoalctl wait %s", why, f->id);
	return CLI_RUNNING;
}

/* LINK_OK, or what ended the tries. */
static enum link_status
reconnect(struct follow *f, struct err *e)
{
	int64_t until = MIN(f->c->deadline, link_now() + RECONNECT_MS);
	enum link_status st;

	for (;;) {
		st = link_open(&f->c->link, MIN(until, link_now() + CLI_REPLY_MS), e);
		if (st == LINK_OK) {
			subscribe(f);
			return LINK_OK;
		}
		if (f->stops && (st == LINK_NOBODY || st == LINK_LOST))
			return st;
		if (link_now() >= until || *f->c->interrupted || st == LINK_NO_ENTRY ||
		    st == LINK_TOO_OLD)
			return st;
		poll(NULL, 0, RETRY_MS);
	}
}

static void
on_event(struct follow *f, const struct link_msg *m)
{
	const json_t *params = link_msg_params(m), *data = value_at(params, "data");
	json_int_t seq = json_integer_value(value_at(params, "seq"));
	struct str raw = link_msg_text(m, "params");
	const char *type = value_string(params, "type", "");

	if (seq > 0 && seq <= f->seq)
		return; /* seen before the connection was lost */
	f->seq = MAX(f->seq, seq);
	if (strcmp(value_string(data, "job", f->id), f->id) != 0)
		return;
	if (f->c->out.mode == OUT_JSONL && raw.p != NULL)
		out_json(&f->c->out, raw.p, raw.n);
	if (strncmp(type, "worker.", 7) == 0) {
		print_worker(f, type, data);
	} else {
		print_begin(f, data);
		print_step(f, data);
	}
}

/* The answer to jobs.wait: -1 when it is not the end yet, else the exit code. */
static int
on_wait(struct follow *f, const struct link_msg *m)
{
	const json_t *job = link_msg_result(m);

	if (job != NULL && follow_is_final(value_string(job, "state", ""))) {
		print_begin(f, job);
		return follow_show_end(f->c, job);
	}
	if (job != NULL ||
	    strcmp(value_string(link_msg_error(m), "data.kind", ""), "timeout") == 0) {
		ask_for_end(f);
		return -1;
	}
	return cli_refused(f->c, "jobs.wait", m);
}

/* -1: go on. */
static int
on_message(struct follow *f, const struct link_msg *m)
{
	if (f->wait_id != 0 && link_msg_id(m) == f->wait_id)
		return on_wait(f, m);
	if (link_msg_params(m) != NULL)
		on_event(f, m);
	return -1;
}

/* After a lost connection: -1 to go on. */
static int
on_lost(struct follow *f)
{
	struct err e = {0};
	enum link_status st;

	link_close(&f->c->link);
	st = reconnect(f, &e);
	if (st == LINK_OK) {
		ask_for_end(f);
		return -1;
	}
	if (f->stops && (st == LINK_NOBODY || st == LINK_LOST)) {
		out_line(&f->c->out, "stopped");
		return CLI_OK;
	}
	if (*f->c->interrupted)
		return still_running(f, "interrupted");
	return cli_explain(f->c, st, &e);
}

static int
follow_loop(struct follow *f)
{
	cli_catch_signals(f->c);
	ask_for_end(f);
	for (;;) {
		struct link_msg m;
		enum link_status st = link_read(&f->c->link, &m, f->c->deadline);
		int code = -1;

		if (*f->c->interrupted)
			code = still_running(f, "interrupted");
		else if (st == LINK_OK)
			code = on_message(f, &m);
		else if (st == LINK_TIMEOUT && link_now() >= f->c->deadline)
			code = still_running(f, "not finished in time");
		else if (st == LINK_LOST || st == LINK_GARBAGE)
			code = on_lost(f);
		if (st == LINK_OK)
			link_msg_finish(&m);
		if (code >= 0)
			return code;
	}
}

static void
add_token(json_t *params)
{
	unsigned char r[16];
	char text[sizeof(r) * 2 + 1];

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return;
	for (size_t i = 0; i < sizeof(r); i++)
		snprintf(text + 2 * i, 3, "%02x", r[i]);
	json_object_set_new(params, "token", json_string(text));
}

/* The request itself; once more when the connection is lost and a token makes that safe. */
static int
request(
    struct follow *f, const char *method, json_t *params, bool again, struct link_msg *m)
{
	struct err e = {0};
	enum link_status st =
	    link_call(&f->c->link, method, params, cli_reply_deadline(f->c), m, &e);

	if (st == LINK_LOST && again && reconnect(f, &e) == LINK_OK)
		return cli_call(f->c, method, params, m);
	if (st == LINK_OK)
		return CLI_OK;
	if (st != LINK_REFUSED)
		return cli_explain(f->c, st, &e);

	int code = cli_refused(f->c, method, m);

	link_msg_finish(m);
	return code;
}

int
follow_start(struct cli *c, const char *method, json_t *params, bool token)
{
	struct follow f = {.c = c, .stops = strcmp(method, "server.stop") == 0};
	bool wait = !args_has(c->args, "no-wait");
	struct link_msg m = {0};
	int code = cli_connect(c);

	if (code != CLI_OK)
		return code;
	if (token)
		add_token(params);
	if (wait)
		subscribe(&f);
	code = request(&f, method, params, token, &m);
	if (code != CLI_OK)
		return code;
	snprintf(f.id, sizeof(f.id), "%s", value_string(link_msg_result(&m), "job", ""));
	if (!wait || f.id[0] == '\0') {
		cli_show(c, NULL, &m);
	} else {
		/* Its state comes as an event, too, behind those that were before. */
		print_begin(&f, link_msg_result(&m));
		code = follow_loop(&f);
	}
	link_msg_finish(&m);
	return code;
}

int
follow_job(struct cli *c, const char *id)
{
	struct follow f = {.c = c};

	snprintf(f.id, sizeof(f.id), "%s", id);
	/* From the start of what the ring still holds: the steps so far, too. */
	subscribe(&f);
	return follow_loop(&f);
}
