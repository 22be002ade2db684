/* The side that takes over: reads what the master before left and goes on with it.
 * SPDX-License-Identifier: MIT */
#include "common/board.h"
#include "common/log.h"
#include "master/minder.h"
#include "master/reload.h"
#include "master/upgrade.h"
#include "master/upgrade_fields.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define READ(obj, to, table, e) fields_read((obj), (to), (table), ARRAY_LEN(table), (e))

/* "5" -> 5; -1: no descriptor that is open. */
static int
parse_fd(const char *text)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || v <= STDERR_FILENO || v > INT32_MAX)
		return -1;
	return fcntl((int)v, F_GETFD) < 0 ? -1 : (int)v;
}

json_t *
adopt_find(struct err *e)
{
	const char *text = getenv(UPGRADE_FD_VARIABLE);
	int fd = text != NULL ? parse_fd(text) : -1;
	json_t *state;

	e->text[0] = '\0';
	if (text == NULL)
		return NULL;
	if (fd < 0)
		err_set(e, UPGRADE_FD_VARIABLE "=%.20s: no open descriptor", text);
	unsetenv(UPGRADE_FD_VARIABLE);
	if (fd < 0)
		return NULL;
	state = upgrade_state_read(fd, e);
	close(fd);
	return state;
}

int
adopt_fd(int fd, mode_t type, const char *what, struct err *e)
{
	struct stat st;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != type)
		return err_set(e, "%s: descriptor %d is not what it should be", what, fd);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_errno(e, "%s: descriptor %d", what, fd);
	return 0;
}

/* What will be signalled and waited for; 0: there is none. */
static int
check_child(pid_t pid, const char *what, struct err *e)
{
	siginfo_t info;

	if (pid == 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		return 0;
	return err_set(e, "%s: process %d is no child of this one", what, (int)pid);
}

int
adopt_conf(struct master *m, const json_t *state, struct err *e)
{
	conf_init(&m->heritage.conf);
	return conf_restore(&m->heritage.conf, json_object_get(state, "conf"), e);
}

static int
adopt_listeners(struct listeners *ls, const json_t *all, struct err *e)
{
	size_t i;
	json_t *one;

	if (!json_is_array(all) || json_array_size(all) > LISTENERS_MAX)
		return err_set(e, "listeners: expected at most %d", LISTENERS_MAX);
	json_array_foreach((json_t *)all, i, one)
	{
		struct listener *l = &ls->v[i];

		*l = (struct listener){.fd = -1};
		if (READ(one, l, upgrade_listener_fields, e) < 0 ||
		    adopt_fd(l->fd, S_IFSOCK, "listener", e) < 0)
			return -1;
		ls->n = i + 1;
	}
	return 0;
}

static void
read_counts(uint64_t *to, size_t n, const json_t *list)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint64_t)MAX(json_integer_value(json_array_get(list, i)), 0);
}

static void
adopt_durations(struct totals_tallies *t, const json_t *from)
{
	for (size_t i = 0; i < DURATIONS; i++) {
		const json_t *one = json_object_get(from, totals_durations[i].name);
		struct totals_duration *d = &t->durations[i];

		read_counts(d->bucket, HIST_BUCKETS, json_object_get(one, "buckets"));
		read_counts(d->classes, HIST_CLASSES, json_object_get(one, "classes"));
		d->sum_us =
		    (uint64_t)MAX(json_integer_value(json_object_get(one, "sum_us")), 0);
	}
}

static void
adopt_sizes(struct totals_tallies *t, const json_t *from)
{
	for (size_t i = 0; i < SIZES; i++) {
		const json_t *one = json_object_get(from, totals_sizes[i].name);
		struct totals_size *size = &t->sizes[i];

		read_counts(
		    size->classes, HIST_SIZE_CLASSES, json_object_get(one, "classes"));
		size->sum =
		    (uint64_t)MAX(json_integer_value(json_object_get(one, "sum")), 0);
	}
}

static void
adopt_totals(struct totals *t, const json_t *from)
{
	const json_t *stats = json_object_get(from, "stats");

	for (unsigned i = 0; i < STAT_COUNT; i++)
		t->dead.stats[i] = (uint64_t)MAX(
		    json_integer_value(json_object_get(stats, totals_fields[i].name)), 0);
	adopt_durations(&t->dead_tallies, json_object_get(from, "durations"));
	adopt_sizes(&t->dead_tallies, json_object_get(from, "sizes"));
	memcpy(t->dead.latency, t->dead_tallies.durations[DURATION_request].bucket,
	    sizeof(t->dead.latency));
	read_counts(t->dead_tallies.codes, SEG_CODES, json_object_get(from, "codes"));
	read_counts(
	    t->dead_tallies.accepted, SEG_LISTENERS, json_object_get(from, "accepted"));
	read_counts(t->dead_tallies.logged, LOG_LEVELS, json_object_get(from, "logged"));
	read_counts(t->dead_tallies.net, NET_COUNTS, json_object_get(from, "net"));
	request_sums_restore(
	    &t->request_keys, t->dead_tallies.requests, json_object_get(from, "requests"));
	t->seq = (uint64_t)MAX(json_integer_value(json_object_get(from, "seq")), 0);
}

int
adopt_instance(struct master *m, const json_t *state, struct err *e)
{
	if (READ(json_object_get(state, "instance"), m, upgrade_instance_fields, e) < 0 ||
	    adopt_fd(m->fleet.spawn.board_fd, S_IFREG, "board", e) < 0 ||
	    adopt_listeners(&m->listeners, json_object_get(state, "listeners"), e) < 0 ||
	    held_restore(&m->held, json_object_get(state, "held"), e) < 0 ||
	    jobs_from_json(&m->jobs, json_object_get(state, "jobs"), e) < 0)
		return -1;
	adopt_totals(&m->minder->totals, json_object_get(state, "totals"));
	tally_restore(&m->fleet.tally, json_object_get(state, "tally"));
	meter_restore(&m->minder->meter, json_object_get(state, "usage"));
	metric_sums_restore(m->minder->metrics, json_object_get(state, "metrics"));
	routes_restore(&m->minder->routes, json_object_get(state, "routes"));
	top_restore(&m->minder->top, json_object_get(state, "top"));
	crashes_restore(&m->minder->crashes, json_object_get(state, "crashes"));
	selfcount_restore(&m->self, &m->events, json_object_get(state, "self"));
	m->up = true;
	return 0;
}

/* ---- Generations and their workers ---- */

struct known {
	struct generation **v; /* a reference each */
	size_t n;
};

static struct generation *
find_generation(const struct known *k, json_int_t number)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->v[i]->number == number)
			return k->v[i];
	return NULL;
}

static int
adopt_mold(struct master *m, struct generation *g, const json_t *obj, struct err *e)
{
	struct mold from = {.channel = -1};

	if (obj == NULL)
		return 0;
	if (READ(obj, &from, upgrade_mold_fields, e) < 0 ||
	    check_child(from.pid, "mold", e) < 0 ||
	    adopt_fd(from.channel, S_IFSOCK, "mold", e) < 0)
		return -1;
	g->mold = mold_adopt(&m->fleet, g, &from, e);
	return g->mold == NULL ? -1 : 0;
}

static int
adopt_generation(struct master *m, struct known *k, const json_t *obj, struct err *e)
{
	struct generation from = {0}, *g;
	struct conf conf;

	if (READ(obj, &from, upgrade_generation_fields, e) < 0)
		return -1;
	conf_init(&conf);
	if (conf_restore(&conf, json_object_get(obj, "conf"), e) < 0) {
		conf_finish(&conf);
		return -1;
	}
	g = generation_create(from.number, &conf, &m->heritage, e);
	if (g == NULL)
		return -1;
	g->loaded_at = from.loaded_at;
	k->v[k->n++] = g;
	if (json_is_true(json_object_get(obj, "current"))) {
		if (m->fleet.gen != NULL)
			return err_set(e, "more than one generation serves");
		m->fleet.gen = generation_ref(g);
	}
	return adopt_mold(m, g, json_object_get(obj, "mold"), e);
}

static int
adopt_proc(struct master *m, const struct known *k, const json_t *obj, struct err *e)
{
	struct generation *g =
	    find_generation(k, json_integer_value(json_object_get(obj, "generation")));
	struct proc from = {.channel = -1, .seg_fd = -1, .trace_fd = -1, .accounts_fd = -1},
		    *p;
	struct slot *s;

	if (READ(obj, &from, upgrade_proc_fields, e) < 0 ||
	    check_child(from.pid, "worker", e) < 0 ||
	    adopt_fd(from.channel, S_IFSOCK, "channel", e) < 0 ||
	    adopt_fd(from.seg_fd, S_IFREG, "segment", e) < 0 ||
	    adopt_fd(from.trace_fd, S_IFREG, "trace", e) < 0 ||
	    adopt_fd(from.accounts_fd, S_IFREG, "accounts", e) < 0)
		return -1;
	s = m->fleet.slots[from.slot];
	if (g == NULL || s == NULL || m->fleet.lines[from.line])
		return err_set(e,
		    "worker of slot %u: its generation, slot or line is unknown",
		    from.slot);
	p = proc_adopt(&m->fleet, g, &from, e);
	if (p == NULL)
		return -1;
	if (json_is_true(json_object_get(obj, "serving")))
		s->serving = p;
	if (json_is_true(json_object_get(obj, "coming")))
		s->coming = p;
	return 0;
}

static int
adopt_parts(struct master *m, struct known *k, const json_t *state, struct err *e)
{
	struct slot from = {0};
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(state, "generations"), i, one)
	{
		if (adopt_generation(m, k, one, e) < 0)
			return -1;
	}
	if (m->fleet.gen == NULL)
		return err_set(e, "no generation serves");
	json_array_foreach(json_object_get(state, "slots"), i, one)
	{
		if (READ(one, &from, upgrade_slot_fields, e) < 0 ||
		    fleet_adopt_slot(&m->fleet, &from, e) < 0)
			return -1;
	}
	json_array_foreach(json_object_get(state, "procs"), i, one)
	{
		if (adopt_proc(m, k, one, e) < 0)
			return -1;
	}
	return 0;
}

int
adopt_fleet(struct master *m, const json_t *state, struct err *e)
{
	size_t n = json_array_size(json_object_get(state, "generations"));
	struct known k = {.v = calloc(n + 1, sizeof(*k.v))};
	int rc;

	if (k.v == NULL)
		return err_set(e, "out of memory");
	m->fleet.board = board_open(m->fleet.spawn.board_fd, e);
	rc = m->fleet.board == NULL ? -1 : adopt_parts(m, &k, state, e);
	for (size_t i = 0; i < k.n; i++)
		generation_unref(k.v[i]);
	free(k.v);
	if (rc == 0)
		fleet_resume(&m->fleet);
	return rc;
}

void
adopt_continue(struct master *m)
{
	struct job *upgrade = NULL;

	for (size_t i = 0; i < m->jobs.n; i++) {
		struct job *j = m->jobs.v[i];

		if (job_is_final(j))
			continue;
		if (j->kind == JOB_UPGRADE)
			upgrade = j;
		else
			job_end(&m->jobs, j, JOB_FAILED, "upgrade",
			    "the master was upgraded meanwhile", STR(""));
	}
	log_info("master", "upgraded", "version=%s job=%s", SHOAL_VERSION,
	    upgrade != NULL ? upgrade->id : "none");
	events_emit(
	    &m->events, "server.upgraded", json_pack("{s:s}", "version", SHOAL_VERSION));
	if (upgrade != NULL)
		reload_continue(m, upgrade);
}

/* ---- Before it is too late ---- */

static int
check_rows(const json_t *rows, const struct json_field *fields, size_t n, struct err *e)
{
	static union {
		struct proc proc;
		struct slot slot;
		struct listener listener;
	} scratch;
	size_t i;
	json_t *one;

	json_array_foreach((json_t *)rows, i, one)
	{
		if (fields_read(one, &scratch, fields, n, e) < 0)
			return -1;
	}
	return 0;
}

#define ROWS(state, key, table, e)                                                         \
	check_rows(json_object_get((state), (key)), (table), ARRAY_LEN(table), (e))

static int
check_conf(const json_t *from, struct err *e)
{
	struct conf conf;
	int rc;

	conf_init(&conf);
	rc = conf_restore(&conf, json_object_get(from, "conf"), e);
	conf_finish(&conf);
	return rc;
}

static int
check_generations(const json_t *rows, struct err *e)
{
	struct generation g;
	struct mold mold;
	size_t i;
	json_t *one;

	json_array_foreach((json_t *)rows, i, one)
	{
		const json_t *its = json_object_get(one, "mold");

		if (READ(one, &g, upgrade_generation_fields, e) < 0 ||
		    check_conf(one, e) < 0 ||
		    (its != NULL && READ(its, &mold, upgrade_mold_fields, e) < 0))
			return -1;
	}
	return 0;
}

/* Everything but descriptors and processes, which are the other image's still. */
static int
check_state(const json_t *state, struct err *e)
{
	static struct master m;
	struct jobs jobs = {.n = 0};
	int rc;

	if (check_conf(state, e) < 0 ||
	    READ(json_object_get(state, "instance"), &m, upgrade_instance_fields, e) < 0 ||
	    ROWS(state, "listeners", upgrade_listener_fields, e) < 0 ||
	    ROWS(state, "slots", upgrade_slot_fields, e) < 0 ||
	    ROWS(state, "procs", upgrade_proc_fields, e) < 0 ||
	    check_generations(json_object_get(state, "generations"), e) < 0)
		return -1;
	rc = jobs_from_json(&jobs, json_object_get(state, "jobs"), e);
	jobs_finish(&jobs);
	return rc;
}

int
adopt_check(const char *fd_text)
{
	struct err e = {""};
	int fd = parse_fd(fd_text);
	json_t *state = fd < 0 ? NULL : upgrade_state_read(fd, &e);
	int rc = state != NULL ? check_state(state, &e) : -1;

	if (fd < 0)
		err_set(&e, "%.20s: no open descriptor", fd_text);
	json_decref(state);
	if (rc != 0)
		fprintf(stderr, "%s\n", e.text);
	else
		puts(UPGRADE_CHECK_YES);
	return rc == 0 ? EXIT_STOPPED : EXIT_CONFIG;
}
