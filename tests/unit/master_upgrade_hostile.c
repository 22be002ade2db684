/* What no master has written is not adopted: every part of an upgrade's state, made wrong.
 * SPDX-License-Identifier: MIT */
#include "upgrade_pair.h"

#define LONG                                                                               \
	"\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"xx"                                                                               \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"\""

static const struct {
	const char *path, *value, *told; /* value NULL: not there */
} hostile[] = {
    {"shoal", "1", "this is no state of a master"},
    {"layout/number", "1", "share memory of another layout"},
    {"layout/seg", "4096", "share memory of another layout"},
    {"conf", "[]", "expected a JSON object"},
    {"conf/values/workers", "\"many\"", "workers"},
    {"instance", NULL, "started: "},
    {"instance/fleet.wanted", "0", "fleet.wanted: "},
    {"instance/fleet.wanted", "100000", "fleet.wanted: "},
    {"instance/events.seq", "-1", "events.seq: "},
    {"instance/fleet.spawn.board_fd", "99999", "board: descriptor 99999"},
    {"listeners", "{}", "listeners: expected"},
    {"listeners/0/fd", "99999", "listener: descriptor 99999"},
    {"listeners/0/fd", "-1", "fd: "},
    {"listeners/0/name", LONG, "name: "},
    {"jobs/jobs", "{}", "no list of jobs"},
    {"jobs/jobs/0/kind", "\"dance\"", "job 0 of the list"},
    {"control/fd", "99999", "control socket: descriptor 99999"},
    {"control/path", LONG, "path: "},
    {"generations", "{}", "no generation serves"},
    {"generations/0/current", "false", "no generation serves"},
    {"generations/1/current", "true", "more than one generation"},
    {"generations/0/conf", "{}", "expected a JSON object"},
    {"generations/0/mold/state", "9", "state: "},
    {"generations/0/mold/pid", "1", "mold: process 1 is no child"},
    {"slots/0/index", "1024", "index: "},
    {"slots/1/index", "9", "its generation, slot or line is unknown"},
    {"procs/0/generation", "99", "its generation, slot or line is unknown"},
    {"procs/0/line", "2048", "line: "},
    {"procs/1/line", "4", "its generation, slot or line is unknown"},
    {"procs/0/pid", "1", "worker: process 1 is no child"},
    {"procs/0/pid", "-1", "pid: "},
    {"procs/0/state", "17", "state: "},
    {"procs/0/channel", "99999", "channel: descriptor 99999"},
    {"procs/0/seg_fd", "@board", "shared segment: expected"},
    {"procs/0/seg_fd", "-1", "descriptor -1"},
};

static const char *const pid_keys[] = {"pid", NULL};

static int
no_pid(int pid)
{
	return pid > 0 ? 0 : pid;
}

static json_t *
read_json(json_t *v)
{
	char *text = json_dumps(v, JSON_COMPACT);
	int fd = to_memfd(text, strlen(text));

	free(text);
	return read_memfd(fd);
}

static void
put(json_t *state, const char *path, const char *value)
{
	json_t *at = state,
	       *board = json_object_get(
		   json_object_get(state, "instance"), "fleet.spawn.board_fd"),
	       *v = NULL;
	char key[64];

	if (value != NULL && strcmp(value, "@board") == 0)
		v = json_incref(board);
	else if (value != NULL)
		v = json_loads(value, JSON_DECODE_ANY, NULL);
	for (;;) {
		size_t n = strcspn(path, "/");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		if (path[n] == '\0')
			break;
		at = json_is_array(at) ? json_array_get(at, strtoul(key, NULL, 10))
				       : json_object_get(at, key);
		assert_non_null(at);
		path += n + 1;
	}
	assert_non_null(json_object_get(at, key));
	if (v != NULL)
		json_object_set_new(at, key, v);
	else
		json_object_del(at, key);
}

static void
test_hostile(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		json_t *v = written_by(&old), *read;

		change_numbers(v, fd_keys, copy_fd);
		change_numbers(v, pid_keys, no_pid);
		put(v, hostile[i].path, hostile[i].value);
		read = read_json(v);
		if (read != NULL) {
			if (take_over(read) == 0)
				fail_msg("%s: %s", hostile[i].path, hostile[i].value);
			finish(&next);
		}
		if (strstr(e.text, hostile[i].told) == NULL)
			fail_msg("%s: \"%s\"", hostile[i].path, e.text);
		json_decref(read);
		json_decref(v);
		close_range(FIRST_COPY, ~0u, 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		assert_int_equal(waitpid(children[i], NULL, WNOHANG), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
