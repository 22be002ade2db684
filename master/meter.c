/* Looks at processes in turn. SPDX-License-Identifier: MIT */
#include "master/meter.h"

#include "master/books.h"
#include "master/clock.h"
#include "master/gate.h"
#include "master/master.h"
#include "master/mold.h"

#define FRESH_MS 500  /* younger figures are good enough */
#define READS_MAX 256 /* of workers in one look: some milliseconds */
#define CLOSER_EVERY_MS 5000
#define SHARE 50 /* a closer look is followed by a rest of so many times its length */

static const char *const names[METER_ROLES] = {
    [METER_MASTER] = "master",
    [METER_MOLD] = "mold",
    [METER_GATEWAY] = "gateway",
    [METER_LEDGER] = "shoal-ledger",
};

static int64_t
clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* ---- Who there is ---- */

/* Those of a process that ended are kept as counts. */
static void
retire(struct meter *t, enum meter_role role, struct usage *u)
{
	t->roles[role].user_ticks += u->user_ticks;
	t->roles[role].system_ticks += u->system_ticks;
	*u = (struct usage){.looked_ms = 0};
}

static void
set_pid(struct meter *t, enum meter_role role, pid_t pid)
{
	if (pid == t->roles[role].pid)
		return;
	retire(t, role, &t->roles[role].now);
	t->roles[role].pid = pid;
}

static void
find_helpers(struct meter *t, const struct master *m)
{
	set_pid(t, METER_MASTER, getpid());
	set_pid(t, METER_GATEWAY, gate_pid(m->gate));
	set_pid(t, METER_LEDGER, books_pid(m->books));
}

/* ---- Looking ---- */

struct target {
	struct usage *usage; /* NULL: nobody is due */
	pid_t pid;
};

static void
consider(struct target *oldest, struct usage *u, pid_t pid)
{
	if (pid > 0 && (oldest->usage == NULL || u->looked_ms < oldest->usage->looked_ms))
		*oldest = (struct target){u, pid};
}

static struct target
find_oldest(struct meter *t, const struct master *m)
{
	struct target oldest = {NULL, 0};

	for (size_t i = 0; i < METER_ROLES; i++)
		consider(&oldest, &t->roles[i].now, t->roles[i].pid);
	for (struct mold *mold = m->fleet.molds; mold != NULL; mold = mold->next)
		consider(&oldest, &mold->usage, mold->pid);
	for (struct proc *p = m->fleet.procs; p != NULL; p = p->next)
		consider(&oldest, &p->usage, p->reaped ? 0 : p->pid);
	return oldest;
}

void
meter_tick(struct meter *t, const struct master *m, int64_t now_ms)
{
	int64_t began_us = clock_us();
	struct target next;

	if (began_us < t->not_before_us)
		return;
	find_helpers(t, m);
	next = find_oldest(t, m);
	if (next.usage == NULL || (next.usage->looked_ms != 0 &&
				      now_ms - next.usage->looked_ms < CLOSER_EVERY_MS))
		return;
	usage_look_closer(next.usage, next.pid, now_ms);
	t->not_before_us = began_us + (clock_us() - began_us) * SHARE;
}

static bool
look(struct usage *u, pid_t pid, int64_t now_ms)
{
	if (pid <= 0 || (u->read_ms != 0 && now_ms - u->read_ms < FRESH_MS))
		return false;
	usage_look(u, pid, now_ms);
	return true;
}

void
meter_look(struct meter *t, const struct master *m)
{
	unsigned n_read = 0;
	int64_t now_ms = clock_ms();

	if (t->round == 0)
		t->round++; /* that of a process nobody looked at */
	find_helpers(t, m);
	for (size_t i = 0; i < METER_ROLES; i++)
		(void)look(&t->roles[i].now, t->roles[i].pid, now_ms);
	for (struct mold *mold = m->fleet.molds; mold != NULL; mold = mold->next)
		(void)look(&mold->usage, mold->pid, now_ms);
	for (struct proc *p = m->fleet.procs; p != NULL; p = p->next) {
		if (p->usage.round == t->round)
			continue;
		if (n_read == READS_MAX)
			return; /* the next look goes on behind */
		n_read += look(&p->usage, p->reaped ? 0 : p->pid, now_ms);
		p->usage.round = t->round;
	}
	t->round++;
}

void
meter_on_dying(struct meter *t, const struct master *m, pid_t pid)
{
	int64_t now_ms = clock_ms();

	/* The place it worked at takes what is in p->usage when it is reaped. */
	for (struct proc *p = m->fleet.procs; p != NULL; p = p->next)
		if (p->pid == pid)
			usage_look(&p->usage, pid, now_ms);
	for (struct mold *mold = m->fleet.molds; mold != NULL; mold = mold->next)
		if (mold->pid == pid) {
			usage_look(&mold->usage, pid, now_ms);
			retire(t, METER_MOLD, &mold->usage);
		}
	for (size_t i = 0; i < METER_ROLES; i++)
		if (t->roles[i].pid == pid) {
			usage_look(&t->roles[i].now, pid, now_ms);
			set_pid(t, (enum meter_role)i, 0);
		}
}

/* ---- Telling ---- */

static json_t *
known(int64_t n)
{
	return n > 0 ? json_integer(n) : json_null();
}

static json_t *
make_row(const char *role, json_t *worker, const struct usage *u)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "role", role, "worker",
	    worker, "rss_bytes", known(u->rss_bytes), "pss_bytes", known(u->pss_bytes),
	    "uss_bytes", known(u->uss_bytes), "vsz_bytes", known(u->vsz_bytes), "fds",
	    known(u->fds), "max_fds", known(u->max_fds));
}

static struct usage
sum_molds(const struct master *m)
{
	struct usage sum = {.looked_ms = 0};

	for (const struct mold *mold = m->fleet.molds; mold != NULL; mold = mold->next)
		if (mold->pid > 0)
			usage_add(&sum, &mold->usage);
	return sum;
}

static struct usage
get_role(const struct meter *t, const struct master *m, size_t role)
{
	return role == METER_MOLD ? sum_molds(m) : t->roles[role].now;
}

json_t *
meter_processes(const struct meter *t, const struct master *m)
{
	static struct usage places[FLEET_MAX];
	json_t *list = json_array();

	for (size_t i = 0; i < METER_ROLES; i++) {
		struct usage u = get_role(t, m, i);

		json_array_append_new(list, make_row(names[i], json_string(""), &u));
	}
	memset(places, 0, sizeof(places));
	for (const struct proc *p = m->fleet.procs; p != NULL; p = p->next)
		usage_add(&places[p->slot], &p->usage);
	for (unsigned i = 0; i < FLEET_MAX; i++)
		if (m->fleet.slots[i] != NULL)
			json_array_append_new(
			    list, make_row("worker", json_integer(i), &places[i]));
	return list;
}

void
meter_put_cpu(json_t *list, const char *role, json_t *worker, uint64_t user_ticks,
    uint64_t system_ticks)
{
	double ticks_per_s = (double)sysconf(_SC_CLK_TCK);

	json_array_append_new(
	    list, json_pack("{s:s, s:O, s:s, s:f}", "role", role, "worker", worker, "mode",
		      "user", "seconds", (double)user_ticks / ticks_per_s));
	json_array_append_new(
	    list, json_pack("{s:s, s:o, s:s, s:f}", "role", role, "worker", worker, "mode",
		      "system", "seconds", (double)system_ticks / ticks_per_s));
}

/* A role that never had a process is not told. */
json_t *
meter_cpu(const struct meter *t, const struct master *m)
{
	json_t *list = json_array();

	for (size_t i = 0; i < METER_ROLES; i++) {
		struct usage u = get_role(t, m, i);
		uint64_t user = t->roles[i].user_ticks + u.user_ticks;
		uint64_t system = t->roles[i].system_ticks + u.system_ticks;

		if (user + system > 0 || u.rss_bytes > 0)
			meter_put_cpu(list, names[i], json_string(""), user, system);
	}
	return list;
}

/* ---- Over an upgrade ---- */

static bool
goes_on(size_t role)
{
	return role == METER_MASTER || role == METER_MOLD;
}

json_t *
meter_save(const struct meter *t)
{
	json_t *v = json_object();

	for (size_t i = 0; i < METER_ROLES; i++) {
		uint64_t user = goes_on(i) ? 0 : t->roles[i].now.user_ticks;
		uint64_t system = goes_on(i) ? 0 : t->roles[i].now.system_ticks;

		json_object_set_new(v, names[i],
		    json_pack("{s:I, s:I}", "user_ticks",
			(json_int_t)(t->roles[i].user_ticks + user), "system_ticks",
			(json_int_t)(t->roles[i].system_ticks + system)));
	}
	return v;
}

static uint64_t
get_count(const json_t *obj, const char *key)
{
	return (uint64_t)MAX(json_integer_value(json_object_get(obj, key)), 0);
}

void
meter_restore(struct meter *t, const json_t *from)
{
	for (size_t i = 0; i < METER_ROLES; i++) {
		const json_t *one = json_object_get(from, names[i]);

		t->roles[i].user_ticks = get_count(one, "user_ticks");
		t->roles[i].system_ticks = get_count(one, "system_ticks");
	}
}
