/* An upgrade in place without its exec: what one master writes another one goes on with,
 * and what no master has written is refused. SPDX-License-Identifier: MIT */
#include "common/board.h"
#include "common/conf_set.h"
#include "master/ctl/server.h"
#include "master/master.h"
#include "master/minder.h"
#include "master/mold.h"
#include "master/upgrade.h"

#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define FIRST_COPY 200 /* descriptors that are handed over; those of the test are below */

static struct master old, next;
static struct ctl old_ctl, next_ctl;
static char dir[] = "/tmp/shoal-upgrade-XXXXXX";
static pid_t children[3];
static struct err e;

/* ---- The master that hands over ---- */

static pid_t
start_child(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static void
open_parts(struct master *m)
{
	static char *argv[] = {(char *)"shoal", NULL};

	m->argc = 1;
	m->argv = argv;
	m->base = event_base_new();
	m->fleet.base = m->base;
	assert_non_null(m->base);
	assert_int_equal(events_init(&m->events, 1, &e), 0);
	assert_int_equal(jobs_init(&m->jobs, NULL, &e), 0);
	assert_int_equal(minder_open(&m->minder, m, &e), 0);
}

static struct generation *
make_generation(unsigned number, const char *workers)
{
	struct conf_source src = {.origin = "shop.json:1:2"};
	struct generation *g;
	struct conf conf;

	conf_init(&conf);
	conf.app = strdup("shop:app");
	assert_int_equal(conf_set_text(&conf, CONF_workers, workers, &src, &e), 0);
	g = generation_create(number, &conf, &old.heritage, &e);
	assert_non_null(g);
	g->loaded_at = 1795270000.5 + number;
	return g;
}

static struct proc *
make_worker(struct generation *g, unsigned slot, enum life_state state)
{
	struct proc from = {.slot = slot,
	    .epoch = 7 + slot,
	    .line = 3 + slot,
	    .state = state,
	    .reason = PROC_RELOADED,
	    .pid = children[slot],
	    .born_ms = -5,
	    .ready_ms = 99,
	    .was_ready = true,
	    .drain_old_ms = -1};
	struct seg *seg = seg_create(slot, g->number, from.epoch, &from.seg_fd, &e);
	const unsigned id[] = {slot, from.epoch, g->number};
	struct acct accounts;
	struct proc *p;
	int pair[2];

	assert_non_null(seg);
	seg_close(seg);
	assert_int_equal(acct_create(&accounts, -1, 16, id, &from.accounts_fd, &e), 0);
	acct_close(&accounts);
	from.trace_fd = memfd_create("trace", MFD_CLOEXEC);
	assert_int_equal(msg_pair(pair, &e), 0);
	close(pair[1]);
	from.channel = pair[0];
	p = proc_adopt(&old.fleet, g, &from, &e);
	assert_non_null(p);
	return p;
}

static void
make_jobs(struct jobs *js)
{
	static const struct job_by by = {.uid = 1, .pid = 2, .comm = "shoalctl"};
	const char *busy;
	struct job *j = job_start(js, JOB_RELOAD, &by, "token", &busy);

	job_end(js, j, JOB_FAILED, "import", "no", STR("Traceback"));
	j = job_start(js, JOB_UPGRADE, &by, NULL, &busy);
	snprintf(j->warning, sizeof(j->warning), "look out");
	job_step(js, j, JOB_SWITCHING, json_pack("{s:i}", "slot", 2));
}

static void
make_fleet(struct fleet *f)
{
	struct generation *before = make_generation(4, "1");
	struct mold mold = {
	    .state = MOLD_PROVEN, .pid = children[2], .born_ms = 12, .unsafe = "a thread"};
	struct slot slot = {.last_cause = "status=1",
	    .last_at = 1.5,
	    .restarts = 3,
	    .why = SPAWN_MEMORY,
	    .base = {.requests = 41, .user_ticks = 6, .system_ticks = 7}};
	int pair[2];

	f->board = board_create(&f->spawn.board_fd, &e);
	assert_non_null(f->board);
	f->wanted = 2;
	f->tally.spawns[SPAWN_RELOAD] = 12;
	tally_exit(&f->tally, PROC_CRASHED, SIGKILL);
	tally_exit(&f->tally, PROC_WAS_STUCK, SIGRTMIN + 3);
	tally_exit(&f->tally, PROC_FAILED, 1 << 8);
	f->gen = make_generation(5, "2");
	assert_int_equal(msg_pair(pair, &e), 0);
	close(pair[1]);
	mold.channel = pair[0];
	f->gen->mold = mold_adopt(f, f->gen, &mold, &e);
	assert_non_null(f->gen->mold);
	for (slot.index = 0; slot.index < 2; slot.index++)
		assert_int_equal(fleet_adopt_slot(f, &slot, &e), 0);
	f->slots[0]->serving = make_worker(f->gen, 0, LIFE_READY);
	f->slots[1]->serving = make_worker(before, 1, LIFE_DRAINING);
	generation_unref(before);
}

static void
make_listener(struct listener *l)
{
	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(l->fd >= 0);
	l->made = l->stored = true;
	snprintf(l->name, sizeof(l->name), "127.0.0.1:8000");
}

static int
setup(void **state)
{
	char path[64];
	json_t *crash = json_pack("{s:I, s:[{s:i, s:s}]}", "total", (json_int_t)71,
	    "records", "slot", 1, "cause", "signal=SIGKILL");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		children[i] = start_child();
	conf_init(&old.heritage.conf);
	old.heritage.conf.app = strdup("shop:app");
	open_parts(&old);
	old.started = 1795260000.25;
	old.last_generation = 6;
	make_jobs(&old.jobs);
	for (int i = 0; i < 5; i++)
		events_emit(&old.events, "server.ready", NULL);
	old.self.reloads[SELFCOUNT_BLUEGREEN][1] = 20;
	selfcount_call(&old.self, CTL_M_server_ping, true, 21);
	selfcount_loop_lag(&old.self, 22);
	old.minder->totals.dead.stats[STAT_requests] = 123456;
	old.minder->totals.dead.latency[3] = 17;
	old.minder->totals.dead_tallies.durations[DURATION_request].bucket[3] = 17;
	old.minder->totals.dead_tallies.durations[DURATION_app].classes[2] = 18;
	old.minder->totals.dead_tallies.durations[DURATION_ttfb].sum_us = 19;
	old.minder->totals.dead_tallies.sizes[SIZE_request].classes[1] = 20;
	old.minder->totals.dead_tallies.sizes[SIZE_response].sum = 21;
	old.minder->totals.dead_tallies.net[NET_COUNT_REJECTED] = 20;
	old.minder->totals.dead_tallies.net[NET_COUNTS - 1] = 21;
	old.minder->totals.request_keys.key[0] = req_key(0, 1, req_code_find(200));
	old.minder->totals.request_keys.n = 1;
	old.minder->totals.dead_tallies.requests[REQ_TABLE_LISTENERS] = 22;
	crashes_restore(&old.minder->crashes, crash);
	json_decref(crash);
	make_listener(&old.listeners.v[0]);
	old.listeners.n = 1;
	make_fleet(&old.fleet);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/control", dir);
	assert_int_equal(ctl_path_open(&old_ctl.path, path, "shop", 0600, &e), 0);
	old.ctl = &old_ctl;
	return 0;
}

static void
finish(struct master *m)
{
	minder_close(TAKE_PTR(m->minder));
	fleet_finish(&m->fleet);
	for (size_t i = 0; i < m->listeners.n; i++)
		close(m->listeners.v[i].fd);
	jobs_finish(&m->jobs);
	events_finish(&m->events);
	heritage_finish(&m->heritage);
	event_base_free(m->base);
	memset(m, 0, sizeof(*m));
	m->fleet.spawn.board_fd = -1;
}

static int
teardown(void **state)
{
	(void)state;
	ctl_path_close(&old_ctl.path);
	finish(&old);
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		waitpid(children[i], NULL, 0);
	return rmdir(dir);
}

/* ---- What is on its way ---- */

static int
to_memfd(const char *text, size_t n)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, n), n);
	return fd;
}

static json_t *
read_memfd(int fd)
{
	json_t *v = upgrade_state_read(fd, &e);

	close(fd);
	return v;
}

static int
copy_fd(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, FIRST_COPY);
}

static void
change_numbers(json_t *v, const char *const *keys, int (*change)(int n))
{
	const char *key;
	json_t *one;
	size_t i;

	json_array_foreach(v, i, one)
	{
		change_numbers(one, keys, change);
	}
	json_object_foreach(v, key, one)
	{
		change_numbers(one, keys, change);
		for (const char *const *k = keys; *k != NULL; k++)
			if (strcmp(key, *k) == 0 && json_integer_value(one) >= 0)
				json_integer_set(one, change((int)json_integer_value(one)));
	}
}

static const char *const fd_keys[] = {"fd", "lock_fd", "dir_fd", "channel", "seg_fd",
    "trace_fd", "accounts_fd", "fleet.spawn.board_fd", NULL};
static json_t *
written_by(const struct master *m)
{
	json_t *v = read_memfd(upgrade_state_write(m, &e));

	assert_non_null(v);
	return v;
}

static int
take_over(const json_t *state)
{
	int rc = adopt_conf(&next, state, &e);

	open_parts(&next);
	if (rc == 0)
		rc = adopt_instance(&next, state, &e);
	if (rc == 0)
		rc = ctl_path_adopt(&next_ctl.path, json_object_get(state, "control"), &e);
	next.ctl = rc == 0 ? &next_ctl : NULL;
	return rc == 0 ? adopt_fleet(&next, state, &e) : -1;
}
