/* Counts starts and ends of workers. SPDX-License-Identifier: MIT */
#include "master/tally.h"

#include <stdio.h>
#include <sys/wait.h>

static const char *const spawn_names[SPAWN_REASONS] = {
    [SPAWN_START] = "start",
    [SPAWN_SCALE] = "scale",
    [SPAWN_RELOAD] = "reload",
    [SPAWN_CRASH] = "crash",
    [SPAWN_MAX_REQUESTS] = "max_requests",
    [SPAWN_LIFETIME] = "lifetime",
    [SPAWN_MEMORY] = "memory",
    [SPAWN_TIMEOUT] = "timeout",
    [SPAWN_MANUAL] = "manual",
};

enum spawn_reason
tally_reason(enum proc_reason gone)
{
	static const enum spawn_reason reasons[PROC_REASONS] = {
	    [PROC_CRASHED] = SPAWN_CRASH,
	    [PROC_FAILED] = SPAWN_CRASH,
	    [PROC_STOPPED] = SPAWN_START,
	    [PROC_RELOADED] = SPAWN_RELOAD,
	    [PROC_ROLLED_BACK] = SPAWN_RELOAD,
	    [PROC_SCALED_DOWN] = SPAWN_SCALE,
	    [PROC_RECYCLED] = SPAWN_MANUAL,
	    [PROC_MAX_REQUESTS] = SPAWN_MAX_REQUESTS,
	    [PROC_MAX_AGE] = SPAWN_LIFETIME,
	    [PROC_MAX_RSS] = SPAWN_MEMORY,
	    [PROC_WAS_STUCK] = SPAWN_TIMEOUT,
	    [PROC_KILLED] = SPAWN_MANUAL,
	};

	return reasons[gone];
}

void
tally_exit(struct tally *t, enum proc_reason why, int status)
{
	int signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (signo >= 0 && signo < TALLY_SIGNALS)
		t->exits[why][signo]++;
}

static const char *
name_signal(int signo, char buf[16])
{
	const char *name = sigabbrev_np(signo);

	if (signo == 0)
		return "none";
	if (name != NULL)
		snprintf(buf, 16, "SIG%.8s", name);
	else
		snprintf(buf, 16, "%d", signo);
	return buf;
}

static json_t *
exits_to_json(const struct tally *t)
{
	json_t *list = json_array();
	char buf[16];

	for (int why = 0; why < PROC_REASONS; why++)
		for (int signo = 0; signo < TALLY_SIGNALS; signo++)
			if (signo == 0 || t->exits[why][signo] > 0)
				json_array_append_new(
				    list, json_pack("{s:s, s:s, s:I}", "reason",
					      proc_reason_name((enum proc_reason)why),
					      "signal", name_signal(signo, buf), "count",
					      (json_int_t)t->exits[why][signo]));
	return list;
}

json_t *
tally_to_json(const struct tally *t)
{
	json_t *spawns = json_object();

	for (size_t i = 0; i < SPAWN_REASONS; i++)
		json_object_set_new(
		    spawns, spawn_names[i], json_integer((json_int_t)t->spawns[i]));
	return json_pack("{s:o, s:o}", "spawns", spawns, "exits", exits_to_json(t));
}

static bool
is_text(const json_t *v, const char *text)
{
	return json_is_string(v) && strcmp(json_string_value(v), text) == 0;
}

static void
restore_exit(struct tally *t, const json_t *one)
{
	uint64_t n = (uint64_t)MAX(json_integer_value(json_object_get(one, "count")), 0);
	char buf[16];

	for (int why = 0; why < PROC_REASONS; why++)
		for (int signo = 0; signo < TALLY_SIGNALS; signo++)
			if (is_text(json_object_get(one, "reason"),
				proc_reason_name((enum proc_reason)why)) &&
			    is_text(
				json_object_get(one, "signal"), name_signal(signo, buf)))
				t->exits[why][signo] = n;
}

void
tally_restore(struct tally *t, const json_t *from)
{
	const json_t *spawns = json_object_get(from, "spawns");
	json_t *one;
	size_t i;

	for (size_t k = 0; k < SPAWN_REASONS; k++)
		t->spawns[k] = (uint64_t)MAX(
		    json_integer_value(json_object_get(spawns, spawn_names[k])), 0);
	json_array_foreach(json_object_get(from, "exits"), i, one) restore_exit(t, one);
}
