/* A helper process's life and its requests; sidecar_wire.c moves the lines.
 * SPDX-License-Identifier: MIT */
#include "master/sidecar.h"

#include "common/log.h"
#include "master/clock.h"
#include "master/sidecar_wire.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

static void start(struct sidecar *s);

/* Until a helper that ends or waits is seen to, or one that owes answers says something. */
static void
set_timer(struct sidecar *s, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	evtimer_add(s->timer, &tv);
}

/* While it runs: until it is asked, or too late with its answer. */
static void
set_watch(struct sidecar *s)
{
	s->heard_ms = clock_ms();
	if (s->n_requests > 0)
		set_timer(s, s->patience_ms);
	else if (s->setup.ping != NULL)
		set_timer(s, s->setup.ping_ms);
}

int64_t
sidecar_silent_ms(const struct sidecar *s)
{
	return s->state == SIDECAR_RUNNING && s->n_requests > 0 ? clock_ms() - s->heard_ms
								: 0;
}

/* ---- Requests ---- */

static void
answer(struct sidecar_request *r, json_t *result, json_t *error)
{
	if (r->answer != NULL)
		r->answer(r->ctx, result, error);
	free(r);
}

static void
refuse_all(struct sidecar *s, const char *why)
{
	struct sidecar_request *r;
	json_t *error =
	    json_pack("{s:s, s:s+}", "kind", "overloaded", "message", s->setup.name, why);

	while ((r = s->requests) != NULL) {
		s->requests = r->next;
		s->n_requests--;
		answer(r, NULL, error);
	}
	json_decref(error);
}

int
sidecar_request(struct sidecar *s, const char *method, json_t *params,
    sidecar_answer_fn *fn, void *ctx, struct err *e)
{
	struct sidecar_request *r;
	json_t *line;

	if (s->state != SIDECAR_RUNNING) {
		json_decref(params);
		return err_set(e, "%s does not run", s->setup.name);
	}
	r = s->n_requests < SIDECAR_REQUESTS_MAX ? calloc(1, sizeof(*r)) : NULL;
	if (r == NULL) {
		json_decref(params);
		return err_set(e, "%s has too much to do", s->setup.name);
	}
	r->id = ++s->last_id;
	r->answer = fn;
	r->ctx = ctx;
	line = json_pack("{s:I, s:s, s:o}", "id", (json_int_t)r->id, "method", method,
	    "params", params ? params : json_object());
	if (sidecar_wire_put(&s->wire, line) < 0) {
		free(r);
		return err_set(e, "%s has too much to do", s->setup.name);
	}
	r->next = s->requests;
	s->requests = r;
	if (s->n_requests++ == 0)
		set_watch(s);
	return 0;
}

void
sidecar_forget(struct sidecar *s, const void *ctx)
{
	for (struct sidecar_request *r = s->requests; r != NULL; r = r->next)
		if (r->ctx == ctx)
			r->answer = NULL;
}

int
sidecar_hand(struct sidecar *s, const char *method, json_t *params, int fd)
{
	if (s->state != SIDECAR_RUNNING) {
		json_decref(params);
		return -1;
	}
	return sidecar_wire_put_fd(
	    &s->wire, json_pack("{s:s, s:o}", "method", method, "params", params), fd);
}

static void
take_answer(struct sidecar *s, json_t *line)
{
	json_int_t id = json_integer_value(json_object_get(line, "id"));
	json_t *result = json_object_get(line, "result");
	json_t *error = json_object_get(line, "error");

	for (struct sidecar_request **at = &s->requests; *at != NULL; at = &(*at)->next) {
		struct sidecar_request *r = *at;

		if ((json_int_t)r->id != id)
			continue;
		*at = r->next;
		s->n_requests--;
		s->patience_ms = s->setup.silence_ms;
		answer(r, json_is_object(error) ? NULL : result, error);
		return;
	}
}

static void
take_log(const struct sidecar *s, const json_t *line)
{
	const char *level = json_string_value(json_object_get(line, "log"));
	const char *event = json_string_value(json_object_get(line, "event"));
	const char *text = json_string_value(json_object_get(line, "text"));
	int number = log_level_parse(level);

	log_event(number < 0 ? LOG_LVL_INFO : (enum log_level)number, s->setup.name,
	    event ? event : "note", "%s", text ? text : "");
}

static void
on_line(void *ctx, json_t *line)
{
	struct sidecar *s = ctx;
	const char *event = json_string_value(json_object_get(line, "event"));

	if (json_object_get(line, "id") != NULL) {
		take_answer(s, line);
	} else if (json_is_string(json_object_get(line, "log"))) {
		take_log(s, line);
	} else if (event != NULL) {
		if (s->setup.on_event != NULL)
			s->setup.on_event(
			    s->setup.ctx, event, json_object_get(line, "data"));
	} else if (json_is_true(json_object_get(line, "ready")) && !s->ready) {
		s->ready = true;
		if (s->setup.on_state != NULL)
			s->setup.on_state(s->setup.ctx, NULL);
	}
	/* Whatever it says shows that it lives. */
	if (s->state == SIDECAR_RUNNING)
		set_watch(s);
}

/* ---- Life ---- */

static void
on_lost(void *ctx, const char *why)
{
	struct sidecar *s = ctx;

	/* It closed its end, which it does by dying, or cannot be understood. */
	if (why != NULL) {
		log_error(s->setup.name, "helper not understood", "pid=%d reason=\"%s\"",
		    (int)s->pid, why);
		kill(s->pid, SIGKILL);
	}
}

static void
on_hung(struct sidecar *s)
{
	log_error(s->setup.name, "helper hangs",
	    "pid=%d unanswered=%u silent_ms=%lld action=kill", (int)s->pid, s->n_requests,
	    (long long)s->patience_ms);
	s->hung = true;
	s->patience_ms = MIN(s->patience_ms * 2, s->setup.silence_ms * SIDECAR_PATIENCE);
	kill(s->pid, SIGKILL);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sidecar *s = arg;

	(void)fd, (void)what;
	if (s->state == SIDECAR_ENDING) {
		log_error(s->setup.name, "helper does not end", "pid=%d action=kill",
		    (int)s->pid);
		s->retried = true;
		kill(s->pid, SIGKILL);
	} else if (s->state == SIDECAR_WAITING) {
		start(s);
	} else if (s->state == SIDECAR_RUNNING && s->n_requests > 0) {
		on_hung(s);
	} else if (s->state == SIDECAR_RUNNING && s->setup.ping != NULL) {
		struct err e;

		if (sidecar_request(s, s->setup.ping, NULL, NULL, NULL, &e) < 0)
			set_watch(s);
	}
}

static void
wait_for_next(struct sidecar *s, const char *why)
{
	int64_t ms = MAX(backoff_next(&s->backoff, clock_ms() - s->born_ms, s->ready), 10);

	s->state = SIDECAR_WAITING;
	s->restarts++;
	log_error(s->setup.name, "helper ended", "reason=\"%s\" next_in_ms=%lld", why,
	    (long long)ms);
	set_timer(s, ms);
}

static void
start(struct sidecar *s)
{
	int fds[SIDECAR_FDS_MAX];
	size_t n = s->setup.on_start ? s->setup.on_start(s->setup.ctx, fds) : 0;
	json_t *config;
	struct err e;

	s->ready = s->hung = false;
	s->born_ms = clock_ms();
	if (n == SIDECAR_NOT_NOW) {
		wait_for_next(s, "it cannot be started now");
		return;
	}
	s->pid = sidecar_wire_start(&s->wire, &s->setup, fds, n, &e);
	if (s->pid <= 0) {
		wait_for_next(s, e.text);
		return;
	}
	s->state = SIDECAR_RUNNING;
	config = s->setup.on_config ? s->setup.on_config(s->setup.ctx) : NULL;
	if (sidecar_wire_put(&s->wire, config ? config : json_object()) < 0)
		kill(s->pid, SIGKILL);
	set_watch(s);
	log_info(s->setup.name, "helper started", "pid=%d", (int)s->pid);
	if (s->setup.on_started != NULL)
		s->setup.on_started(s->setup.ctx);
}

static void
say_cause(const struct sidecar *s, int status, char *why, size_t max)
{
	if (s->hung)
		snprintf(why, max, "did not answer");
	else if (WIFSIGNALED(status))
		snprintf(why, max, "ended by signal %d", WTERMSIG(status));
	else
		snprintf(why, max, "ended with status %d", WEXITSTATUS(status));
}

static void
has_ended(struct sidecar *s)
{
	s->state = SIDECAR_ENDED;
	if (s->setup.on_ended != NULL)
		s->setup.on_ended(s->setup.ctx);
}

static void
order_end(struct sidecar *s)
{
	s->state = SIDECAR_ENDING;
	sidecar_wire_end(&s->wire);
	set_timer(s, s->setup.grace_ms);
}

/* Once more, for what it has to finish: nobody else would. false: it cannot be. */
static bool
start_to_end(struct sidecar *s)
{
	if (!s->setup.must_finish || s->retried)
		return false;
	s->retried = true;
	start(s);
	if (s->state == SIDECAR_RUNNING)
		order_end(s);
	else
		evtimer_del(s->timer);
	return s->state == SIDECAR_ENDING;
}

/* After the order to go. */
static void
on_last_child(struct sidecar *s, int status, const char *why)
{
	log_info(s->setup.name, "helper ended", "reason=\"%s\"", why);
	if (!WIFSIGNALED(status) || !start_to_end(s))
		has_ended(s);
}

bool
sidecar_on_child(struct sidecar *s, pid_t pid, int status)
{
	bool ending;
	char why[64];

	if (s == NULL || s->pid != pid || pid <= 0)
		return false;
	say_cause(s, status, why, sizeof(why));
	evtimer_del(s->timer);
	/* What it said last, then what it will never say. */
	sidecar_wire_drain(&s->wire);
	sidecar_wire_close(&s->wire);
	s->pid = 0;
	ending = s->state == SIDECAR_ENDING;
	if (!ending)
		wait_for_next(s, why);
	refuse_all(s, " has ended");
	if (ending)
		on_last_child(s, status, why);
	else if (s->setup.on_state != NULL)
		s->setup.on_state(s->setup.ctx, why);
	return true;
}

void
sidecar_end(struct sidecar *s)
{
	if (s->state == SIDECAR_ENDING || s->state == SIDECAR_ENDED)
		return;
	evtimer_del(s->timer);
	s->retried = false;
	if (s->state == SIDECAR_RUNNING)
		order_end(s);
	else if (!start_to_end(s))
		has_ended(s);
}

bool
sidecar_has_ended(const struct sidecar *s)
{
	return s->state == SIDECAR_ENDED;
}

void
sidecar_restart(struct sidecar *s)
{
	if (s->state == SIDECAR_ENDED)
		start(s);
}

bool
sidecar_is_ready(const struct sidecar *s)
{
	return s->state == SIDECAR_RUNNING && s->ready;
}

pid_t
sidecar_pid(const struct sidecar *s)
{
	return s->pid;
}

unsigned
sidecar_restarts(const struct sidecar *s)
{
	return s->restarts;
}

struct sidecar *
sidecar_open(const struct sidecar_setup *setup, struct err *e)
{
	struct sidecar *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_set(e, "out of memory");
		return NULL;
	}
	s->setup = *setup;
	s->patience_ms = setup->silence_ms;
	sidecar_wire_init(&s->wire, setup->base, on_line, on_lost, s);
	s->timer = evtimer_new(setup->base, on_timer, s);
	if (s->timer == NULL) {
		err_set(e, "out of memory");
		free(s);
		return NULL;
	}
	start(s);
	return s;
}

void
sidecar_close(struct sidecar *s)
{
	struct sidecar_request *next;

	if (s == NULL)
		return;
	if (s->pid > 0)
		kill(s->pid, SIGKILL);
	for (struct sidecar_request *r = s->requests; r != NULL; r = next) {
		next = r->next;
		free(r);
	}
	sidecar_wire_close(&s->wire);
	event_free(s->timer);
	free(s);
}
