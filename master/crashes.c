/* A ring of JSON records about dead workers. SPDX-License-Identifier: MIT */
#include "master/crashes.h"

#include "common/log.h"
#include "master/inflight.h"
#include "master/procfs.h"
#include "master/trace.h"
#include "master/trace_parse.h"

#include <stdio.h>
#include <time.h>

#define REQUESTS_MAX 32
#define STACK_MAX 16384 /* bytes of text; the master keeps fifty of them */
#define FRAME_COST 16
#define EVENT_FRAMES_MAX 20
#define LOG_MAX ((size_t)8192)
#define FATAL STR("Fatal Python error: ")

void
crashes_init(struct crashes *cs)
{
	*cs = (struct crashes){.oom_kills = procfs_oom_kills()};
}

void
crashes_finish(struct crashes *cs)
{
	for (size_t i = 0; i < CRASHES_KEPT; i++)
		json_decref(TAKE_PTR(cs->ring[i]));
}

/* null: the cgroup does not say. */
static json_t *
killed_for_memory(struct crashes *cs, const char *cause)
{
	int64_t before = cs->oom_kills, now;

	if (strcmp(cause, "signal=SIGKILL") != 0)
		return json_false();
	now = procfs_oom_kills();
	cs->oom_kills = now;
	return now < 0 || before < 0 ? json_null() : json_boolean(now > before);
}

static json_t *
list_requests(const struct crash *c, unsigned *total)
{
	uint64_t now_ns = inflight_now_ns();
	json_t *list = json_array();
	struct inflight f;

	*total = 0;
	for (size_t i = 0; c->seg != NULL && i < SEG_INFLIGHT; i++)
		if (inflight_read(c->seg, i, now_ns, &f) && (*total)++ < REQUESTS_MAX)
			json_array_append_new(
			    list, inflight_to_json(&f, c->slot, c->epoch));
	return list;
}

/* The last one: what is before it came from elsewhere. */
static struct str
cut_to_fatal(struct str text)
{
	for (size_t at = text.n; at > 0; at--) {
		struct str rest = {text.p + at - 1, text.n - at + 1};

		if (rest.n >= FATAL.n && memcmp(rest.p, FATAL.p, FATAL.n) == 0)
			return rest;
	}
	return text;
}

static size_t
text_size(const json_t *thread)
{
	size_t n = 0, i;
	json_t *frame;

	json_array_foreach(json_object_get(thread, "stack"), i, frame) n +=
	    FRAME_COST + json_string_length(json_object_get(frame, "file")) +
	    json_string_length(json_object_get(frame, "function"));
	return n;
}

/* The thread that the signal hit loses its outermost frames rather than its place. */
static size_t
shorten(const json_t *thread, size_t room)
{
	json_t *stack = json_object_get(thread, "stack");
	size_t n;

	while ((n = text_size(thread)) > room && json_array_size(stack) > 0)
		json_array_remove(stack, json_array_size(stack) - 1);
	return n;
}

/* The thread that the signal hit first, then as many others as there is room for. */
static json_t *
choose_threads(json_t *threads)
{
	json_t *chosen = json_array(), *thread;
	size_t i, room = STACK_MAX;

	for (int current = 1; current >= 0; current--) {
		json_array_foreach(threads, i, thread)
		{
			size_t n;

			if (json_is_true(json_object_get(thread, "current")) != current)
				continue;
			n = current ? shorten(thread, room) : text_size(thread);
			if (n > room)
				continue;
			room -= n;
			json_array_append(chosen, thread);
		}
	}
	json_decref(threads);
	return chosen;
}

/* The dump's part about the thread that the signal hit; none: all of it. */
static struct str
cut_to_current(struct str text)
{
	static const char head[] = "\nCurrent thread ";
	const char *p = memmem(text.p, text.n, head, sizeof(head) - 1), *end;

	if (p != NULL) {
		text.n -= (size_t)(p + 1 - text.p);
		text.p = p + 1;
		end = memmem(text.p, text.n, "\n\n", 2);
		if (end != NULL)
			text.n = (size_t)(end - text.p);
	}
	text.n = MIN(text.n, LOG_MAX);
	return text;
}

static void
log_stack(const struct crash *c, struct str dump)
{
	char *text;
	int n;

	dump = cut_to_current(dump);
	n = asprintf(&text, "slot=%u pid=%d %s\n%.*s", c->slot, (int)c->pid, c->cause,
	    (int)dump.n, dump.p);
	if (n < 0)
		return;
	log_text(LOG_LVL_ERROR, "master", "worker died with this Python stack",
	    (struct str){text, (size_t)n});
	free(text);
}

/* What the worker itself wrote at its end, when the signal left it the time. */
static json_t *
last_stack(const struct crash *c)
{
	struct str text = {NULL, 0};
	json_t *threads;

	if (strcmp(c->cause, "signal=SIGKILL") != 0)
		text = trace_read(c->trace_fd, TRACE_TEXT_MAX);
	if (text.n == 0)
		return json_array();
	threads = trace_parse(cut_to_fatal(text));
	if (json_array_size(threads) > 0)
		log_stack(c, cut_to_fatal(text));
	free((char *)text.p);
	return choose_threads(threads);
}

const json_t *
crashes_add(struct crashes *cs, const struct crash *c)
{
	json_t **at = &cs->ring[cs->total % CRASHES_KEPT];
	json_t *requests;
	struct timespec now;
	unsigned n_requests;

	clock_gettime(CLOCK_REALTIME, &now);
	requests = list_requests(c, &n_requests);
	cs->total++;
	json_decref(*at);
	*at = json_pack("{s:f, s:i, s:i, s:i, s:i, s:s, s:s, s:f, s:o, s:o, s:i, s:o}", "t",
	    (double)now.tv_sec + (double)now.tv_nsec / 1e9, "slot", (int)c->slot, "pid",
	    (int)c->pid, "epoch", (int)c->epoch, "generation", (int)c->generation, "cause",
	    c->cause, "reason", c->reason, "lived_s", (double)c->lived_ms / 1000, "oom",
	    killed_for_memory(cs, c->cause), "requests", requests, "requests_total",
	    (int)n_requests, "threads", last_stack(c));
	return *at;
}

/* Innermost frames of the thread that the signal hit; NULL: it ran no Python. */
static json_t *
event_stack(const json_t *record)
{
	const json_t *first = json_array_get(json_object_get(record, "threads"), 0);
	json_t *stack, *frame;
	size_t i;

	if (!json_is_true(json_object_get(first, "current")))
		return NULL;
	stack = json_array();
	json_array_foreach(json_object_get(first, "stack"), i, frame)
	{
		if (i == EVENT_FRAMES_MAX)
			break;
		json_array_append(stack, frame);
	}
	return stack;
}

json_t *
crashes_event_data(const json_t *record)
{
	json_t *data = json_copy((json_t *)record), *stack = event_stack(record);

	json_object_del(data, "threads");
	if (stack != NULL)
		json_object_set_new(data, "stack", stack);
	return data;
}

json_t *
crashes_of_slot(const struct crashes *cs, unsigned slot, size_t max)
{
	uint64_t kept = MIN(cs->total, (uint64_t)CRASHES_KEPT);
	json_t *list = json_array();

	for (uint64_t i = 1; i <= kept && json_array_size(list) < max; i++) {
		json_t *record = cs->ring[(cs->total - i) % CRASHES_KEPT];

		if (json_integer_value(json_object_get(record, "slot")) == (json_int_t)slot)
			json_array_append(list, record);
	}
	return list;
}

json_t *
crashes_save(const struct crashes *cs)
{
	uint64_t kept = MIN(cs->total, (uint64_t)CRASHES_KEPT);
	json_t *list = json_array();

	for (uint64_t i = cs->total - kept; i < cs->total; i++)
		json_array_append(list, cs->ring[i % CRASHES_KEPT]);
	return json_pack("{s:I, s:o}", "total", (json_int_t)cs->total, "records", list);
}

void
crashes_restore(struct crashes *cs, const json_t *from)
{
	const json_t *list = json_object_get(from, "records");
	json_int_t total = json_integer_value(json_object_get(from, "total"));
	size_t n = json_array_size(list), first = n - MIN(n, (size_t)CRASHES_KEPT);

	cs->total = (uint64_t)MAX(total - (json_int_t)(n - first), 0);
	for (size_t i = first; i < n; i++) {
		json_t **at = &cs->ring[cs->total % CRASHES_KEPT];
		json_t *one = json_array_get(list, i);

		if (!json_is_object(one))
			continue;
		json_decref(*at);
		*at = json_incref(one);
		cs->total++;
	}
}
