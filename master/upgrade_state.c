/* The state a master hands to the binary that takes over: JSON in a memfd.
 * SPDX-License-Identifier: MIT */
#include "common/board.h"
#include "common/msg.h"
#include "master/books.h"
#include "master/books_sums.h"
#include "master/ctl/ctl.h"
#include "master/minder.h"
#include "master/upgrade.h"
#include "master/upgrade_fields.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Of this JSON, of the messages on the channels, of how signals are held back meanwhile:
 * one more with each change of any. */
#define LAYOUT 12

/* Workers of the old binary go on: what is shared with them must be the same. */
static json_t *
layout_to_json(void)
{
	return json_pack("{s:i, s:I, s:I, s:I, s:I}", "number", LAYOUT, "seg",
	    (json_int_t)sizeof(struct seg), "board", (json_int_t)sizeof(struct board),
	    "fork", (json_int_t)sizeof(struct msg_fork), "accounts",
	    (json_int_t)(ACCT_LAYOUT * 100 + ACCT_COLUMNS));
}

static json_t *
with_fields(const void *from, const struct json_field *fields, size_t n)
{
	json_t *obj = json_object();

	if (fields_write(obj, from, fields, n) == 0)
		return obj;
	json_decref(obj);
	return NULL;
}

#define FIELDS(from, table) with_fields((from), (table), ARRAY_LEN(table))

static json_t *
listeners_to_json(const struct listeners *ls)
{
	json_t *all = json_array();

	for (size_t i = 0; i < ls->n; i++)
		json_array_append_new(all, FIELDS(&ls->v[i], upgrade_listener_fields));
	return all;
}

static json_t *
generation_to_json(const struct master *m, const struct generation *g)
{
	json_t *obj = FIELDS(g, upgrade_generation_fields);

	json_object_set_new(obj, "conf", conf_save(&g->heritage.conf));
	json_object_set_new(obj, "current", json_boolean(g == m->fleet.gen));
	if (g->mold != NULL && g->mold->pid > 0)
		json_object_set_new(obj, "mold", FIELDS(g->mold, upgrade_mold_fields));
	return obj;
}

static bool
has_number(const json_t *all, unsigned number)
{
	size_t i;
	json_t *one;

	json_array_foreach((json_t *)all, i, one)
	{
		if (json_integer_value(json_object_get(one, "number")) == number)
			return true;
	}
	return false;
}

/* The one that serves and every other that has a worker left. */
static json_t *
generations_to_json(const struct master *m)
{
	json_t *all = json_array();

	json_array_append_new(all, generation_to_json(m, m->fleet.gen));
	for (const struct proc *p = m->fleet.procs; p != NULL; p = p->next)
		if (!has_number(all, p->gen->number))
			json_array_append_new(all, generation_to_json(m, p->gen));
	return all;
}

static json_t *
procs_to_json(const struct fleet *f)
{
	json_t *all = json_array();

	for (const struct proc *p = f->procs; p != NULL; p = p->next) {
		const struct slot *s = f->slots[p->slot];
		json_t *one = FIELDS(p, upgrade_proc_fields);

		json_object_set_new(one, "generation", json_integer(p->gen->number));
		json_object_set_new(one, "serving", json_boolean(s->serving == p));
		json_object_set_new(one, "coming", json_boolean(s->coming == p));
		json_array_append_new(all, one);
	}
	return all;
}

static json_t *
slots_to_json(const struct fleet *f)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < FLEET_MAX; i++)
		if (f->slots[i] != NULL)
			json_array_append_new(
			    all, FIELDS(f->slots[i], upgrade_slot_fields));
	return all;
}

static json_t *
durations_to_json(const struct totals_tallies *t)
{
	json_t *all = json_object();

	for (size_t i = 0; i < DURATIONS; i++) {
		const struct totals_duration *d = &t->durations[i];

		json_object_set_new(all, totals_durations[i].name,
		    json_pack("{s:o, s:o, s:I}", "buckets",
			totals_list_to_json(d->bucket, HIST_BUCKETS), "classes",
			totals_list_to_json(d->classes, HIST_CLASSES), "sum_us",
			(json_int_t)d->sum_us));
	}
	return all;
}

static json_t *
sizes_to_json(const struct totals_tallies *t)
{
	json_t *all = json_object();

	for (size_t i = 0; i < SIZES; i++)
		json_object_set_new(all, totals_sizes[i].name,
		    json_pack("{s:o, s:I}", "classes",
			totals_list_to_json(t->sizes[i].classes, HIST_SIZE_CLASSES), "sum",
			(json_int_t)t->sizes[i].sum));
	return all;
}

/* By name: the next binary may count more. */
static json_t *
totals_to_json(const struct totals *t)
{
	json_t *stats = json_object();

	for (unsigned i = 0; i < STAT_COUNT; i++)
		json_object_set_new(stats, totals_fields[i].name,
		    json_integer((json_int_t)t->dead.stats[i]));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "stats", stats,
	    "net", totals_list_to_json(t->dead_tallies.net, NET_COUNTS), "requests",
	    request_sums_save(&t->request_keys, t->dead_tallies.requests), "durations",
	    durations_to_json(&t->dead_tallies), "sizes", sizes_to_json(&t->dead_tallies),
	    "codes", totals_list_to_json(t->dead_tallies.codes, SEG_CODES), "accepted",
	    totals_list_to_json(t->dead_tallies.accepted, SEG_LISTENERS), "logged",
	    totals_list_to_json(t->dead_tallies.logged, LOG_LEVELS), "seq",
	    (json_int_t)t->seq);
}

static json_t *
state_to_json(const struct master *m)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
			 "s:o, s:o, s:o, s:o, s:o, s:o, s:o*}",
	    "shoal", SHOAL_VERSION, "layout", layout_to_json(), "instance",
	    FIELDS(m, upgrade_instance_fields), "conf", conf_save(&m->heritage.conf),
	    "listeners", listeners_to_json(&m->listeners), "generations",
	    generations_to_json(m), "slots", slots_to_json(&m->fleet), "procs",
	    procs_to_json(&m->fleet), "jobs", jobs_to_json(&m->jobs), "totals",
	    totals_to_json(&m->minder->totals), "tally", tally_to_json(&m->fleet.tally),
	    "usage", meter_save(&m->minder->meter), "metrics",
	    metric_sums_save(m->minder->metrics), "routes", routes_save(&m->minder->routes),
	    "top", top_save(&m->minder->top), "crashes", crashes_save(&m->minder->crashes),
	    "self", selfcount_to_json(&m->self, &m->events), "held", held_to_json(&m->held),
	    "control", ctl_to_json(m->ctl));
}

/* Of accounts, and of the ledger, where there is one. */
static void
add_accounts(json_t *state, const struct master *m)
{
	const struct books_sums *books = books_sums(m->books);
	const struct accounts_table *live[FLEET_LINES];
	size_t n = 0;

	for (const struct proc *p = m->fleet.procs; p != NULL; p = p->next)
		if (n < ARRAY_LEN(live))
			live[n++] = &p->accounts;
	json_object_set_new(state, "accounts", accounts_save(&m->accounts, live, n));
	if (books != NULL)
		json_object_set_new(state, "books", books_sums_save(books));
}

static int
write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno != EINTR)
			return -1;
		p += put > 0 ? put : 0;
		n -= put > 0 ? (size_t)put : 0;
	}
	return 0;
}

int
upgrade_state_write(const struct master *m, struct err *e)
{
	AUTO_FD int fd = memfd_create("shoal-upgrade", MFD_CLOEXEC);
	AUTO_FREE char *text = NULL;
	json_t *state;

	minder_fold_own(m->minder);
	meter_look(&m->minder->meter, m);
	state = state_to_json(m);
	add_accounts(state, m);
	text = state ? json_dumps(state, JSON_COMPACT) : NULL;
	json_decref(state);
	if (text == NULL)
		return err_set(e, "the state cannot be written as JSON");
	if (fd < 0 || write_all(fd, text, strlen(text)) < 0)
		return err_errno(e, "the state cannot be written");
	return TAKE_FD(fd);
}

static int
check_version(const json_t *state, struct err *e)
{
	const char *from = json_string_value(json_object_get(state, "shoal"));
	json_t *own = layout_to_json();
	bool same = json_equal(json_object_get(state, "layout"), own);

	json_decref(own);
	if (from == NULL)
		return err_set(e, "this is no state of a master");
	if (same)
		return 0;
	return err_set(e,
	    "workers of shoal %.32s cannot go on under shoal " SHOAL_VERSION
	    ": they share memory of another layout; stop and start instead",
	    from);
}

json_t *
upgrade_state_read(int fd, struct err *e)
{
	AUTO_FREE char *text = NULL;
	json_error_t bad;
	struct stat st;
	json_t *state;

	if (fstat(fd, &st) < 0) {
		err_errno(e, "descriptor %d", fd);
		return NULL;
	}
	if (st.st_size > UPGRADE_STATE_MAX) {
		err_set(e, "descriptor %d: a state of %lld bytes; at most %d are read", fd,
		    (long long)st.st_size, UPGRADE_STATE_MAX);
		return NULL;
	}
	if (st.st_size <= 0 || (text = malloc((size_t)st.st_size)) == NULL ||
	    pread(fd, text, (size_t)st.st_size, 0) != st.st_size) {
		err_set(e, "descriptor %d: no state of a master", fd);
		return NULL;
	}
	state = json_loadb(text, (size_t)st.st_size, JSON_REJECT_DUPLICATES, &bad);
	if (state == NULL)
		err_set(e, "the state cannot be read: %.100s", bad.text);
	else if (check_version(state, e) < 0)
		json_decref(TAKE_PTR(state));
	return state;
}

static int
change_one(int fd, int (*change)(int fd))
{
	return fd < 0 ? 0 : change(fd);
}

int
upgrade_each_fd(const struct master *m, int (*change)(int fd))
{
	int rc = change_one(m->fleet.spawn.board_fd, change) | ctl_each_fd(m->ctl, change);

	for (size_t i = 0; i < m->listeners.n; i++)
		rc |= change_one(m->listeners.v[i].fd, change);
	for (const struct proc *p = m->fleet.procs; p != NULL; p = p->next)
		rc |= change_one(p->channel, change) | change_one(p->seg_fd, change) |
		      change_one(p->trace_fd, change) | change_one(p->accounts_fd, change);
	for (const struct held_table *t = m->held.v; t != NULL; t = t->next)
		rc |= change_one(t->fd, change);
	for (const struct mold *mold = m->fleet.molds; mold != NULL; mold = mold->next)
		if (mold->gen != NULL)
			rc |= change_one(mold->channel, change);
	return rc;
}
