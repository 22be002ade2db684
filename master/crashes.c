/* A ring of JSON records about dead workers. SPDX-License-Identifier: MIT */
#include "master/crashes.h"

#include "master/inflight.h"
#include "master/procfs.h"
#include "master/trace.h"
#include "master/trace_parse.h"

#include <time.h>

#define REQUESTS_MAX 32
#define STACK_MAX 16384 /* bytes of text; the master keeps fifty of them */

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

/* What the worker itself wrote at its end: a fatal signal, or a request that hung. */
static json_t *
last_stack(const struct crash *c)
{
	struct str text = trace_read(c->trace_fd, STACK_MAX);
	json_t *threads = trace_parse(text);

	free((char *)text.p);
	return threads;
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

json_t *
crashes_event_data(const json_t *record)
{
	json_t *data = json_copy((json_t *)record);

	json_object_del(data, "threads");
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
