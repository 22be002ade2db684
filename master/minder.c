/* The master's look at its workers, on a timer. SPDX-License-Identifier: MIT */
#include "master/minder.h"

#include "common/log.h"
#include "master/accept_queue.h"
#include "master/accounts_room.h"
#include "master/chores.h"
#include "master/clock.h"
#include "master/master.h"
#include "master/procfs.h"
#include "master/statsd.h"

#include <event2/event.h>

#define TICK_MS 200
#define HEARTBEAT_LOST_MS 20000
#define SELF_LATE_MS 2000 /* the master itself was stopped: nobody is hung for that */
#define RSS_EVERY_MS 5000
#define RSS_PER_TICK 8 /* files of /proc: 10 us each */
#define STATUS_EVERY_MS 5000
#define OVERFLOW_EVERY_MS 60000
#define STATUS_RATE_S 10

json_t *
minder_name(const struct proc *p)
{
	return json_pack("{s:i, s:i, s:i, s:i}", "slot", (int)p->slot, "pid", (int)p->pid,
	    "generation", (int)p->gen->number, "epoch", (int)p->epoch);
}

/* ---- Busy or idle ---- */

static void
mind_load(struct proc *p)
{
	uint64_t in_flight = stat_get(p->seg, STAT_in_flight);
	bool busy = in_flight > 0 && in_flight <= INT64_MAX;

	if (busy && (p->state == LIFE_READY || p->state == LIFE_IDLE))
		proc_event(p, LIFE_EV_BUSY);
	else if (!busy && (p->state == LIFE_BUSY ||
			      (p->state == LIFE_READY && stat_get(p->seg, STAT_requests))))
		proc_event(p, LIFE_EV_IDLE);
}

/* ---- Hung: the I/O thread itself does not move ---- */

static int64_t
heartbeat_age_ms(const struct proc *p, int64_t now_ms)
{
	uint64_t beat_ns =
	    atomic_load_explicit(&p->seg->heartbeat_ns, memory_order_relaxed);
	int64_t beat_ms = (int64_t)(beat_ns / 1000000);

	/* One that became ready has yet to beat. */
	return now_ms - MAX(beat_ms, p->ready_ms);
}

static void
end_hung(struct minder *m, struct proc *p, const struct trace_result *r)
{
	json_t *data = minder_name(p);

	json_object_set_new(data, "why", json_string("heartbeat"));
	if (r != NULL && r->threads != NULL)
		json_object_set(data, "threads", r->threads);
	events_emit(&m->master->events, "worker.stuck", data);
	log_text(LOG_LVL_ERROR, "master", "stacks of a worker that hangs",
	    r != NULL && r->text.n > 0 ? r->text : STR("none: it does not answer"));
	p->minded.hung = false;
	if (heartbeat_age_ms(p, clock_ms()) >= HEARTBEAT_LOST_MS)
		proc_event(p, LIFE_EV_HUNG);
}

static void
on_hung_trace(void *ctx, const struct trace_result *r)
{
	struct minder *m = ctx;

	/* One that ended meanwhile has said so by its exit. */
	for (struct proc *p = m->master->fleet.procs; p != NULL && !r->gone; p = p->next)
		if (p->pid == r->pid && p->minded.hung) {
			end_hung(m, p, r);
			return;
		}
}

static void
mind_heartbeat(struct minder *m, struct proc *p, int64_t now_ms)
{
	struct err e = {""};

	if (p->state == LIFE_BOOTING || p->state >= LIFE_EXITING || p->minded.hung ||
	    now_ms - m->awake_ms < HEARTBEAT_LOST_MS ||
	    heartbeat_age_ms(p, now_ms) < HEARTBEAT_LOST_MS)
		return;
	log_error("master", "worker hangs", "slot=%u pid=%d heartbeat=%llds", p->slot,
	    (int)p->pid, (long long)(heartbeat_age_ms(p, now_ms) / 1000));
	p->minded.hung = true;
	if (tracer_ask(&m->tracer, &(struct trace_target){p->pid, p->trace_fd, p->seg},
		on_hung_trace, m, &e) < 0)
		end_hung(m, p, NULL);
}

/* ---- Memory, limits ---- */

static unsigned
mind_memory(struct proc *p, int64_t now_ms)
{
	if (p->minded.rss_at_ms != 0 && now_ms - p->minded.rss_at_ms < RSS_EVERY_MS)
		return 0;
	p->minded.rss_bytes = MAX(procfs_rss(p->pid), 0);
	p->minded.rss_at_ms = now_ms;
	return 1;
}

static void
mind_limits(struct minder *m, struct proc *p, int64_t now_ms)
{
	unsigned why = recycler_look(&m->recycler, &m->master->fleet, p, now_ms);
	json_t *data;

	if (why != PROC_MAX_RSS)
		return;
	data = minder_name(p);
	json_object_set_new(data, "rss_bytes", json_integer(p->minded.rss_bytes));
	json_object_set_new(data, "limit_bytes", json_integer(p->minded.limits.max_rss));
	events_emit(&m->master->events, "worker.memory_limit", data);
}

/* ---- Once a second ---- */

static size_t
collect(struct minder *m)
{
	size_t n = 0, at = 0;
	void *grown;

	for (const struct proc *p = m->master->fleet.procs; p != NULL; p = p->next)
		n += p->seg != NULL;
	if (n > m->capacity) {
		grown = reallocarray(m->live, n * 2, sizeof(const struct seg *));
		if (grown != NULL) {
			m->live = grown;
			m->capacity = n * 2;
		}
	}
	for (const struct proc *p = m->master->fleet.procs; p != NULL; p = p->next)
		if (p->seg != NULL && at < m->capacity)
			m->live[at++] = p->seg;
	return at;
}

void
minder_take(struct minder *m, struct totals_snapshot *out)
{
	totals_take(&m->totals, m->live, collect(m), out);
	for (unsigned i = 0; i < LOG_LEVELS; i++)
		out->tallies.logged[i] +=
		    atomic_load_explicit(&m->logged[i], memory_order_relaxed);
}

void
minder_fold_own(struct minder *m)
{
	for (unsigned i = 0; i < LOG_LEVELS; i++)
		m->totals.dead_tallies.logged[i] +=
		    atomic_exchange_explicit(&m->logged[i], 0, memory_order_relaxed);
}

json_t *
minder_take_metrics(struct minder *m)
{
	struct metric_source *live;
	size_t n = 0;
	json_t *v;

	for (const struct proc *p = m->master->fleet.procs; p != NULL; p = p->next)
		n++;
	live = calloc(n + 1, sizeof(*live));
	n = 0;
	for (const struct proc *p = m->master->fleet.procs; p != NULL && live != NULL;
	     p = p->next)
		if (p->seg != NULL)
			live[n++] =
			    (struct metric_source){&p->seg->metrics, p->gen->number};
	v = metric_sums_take(m->metrics, live, n);
	free(live);
	return v;
}

void
minder_look_at_routes(struct minder *m)
{
	for (const struct proc *p = m->master->fleet.procs; p != NULL; p = p->next)
		if (p->seg != NULL)
			routes_look(&m->routes, p->seg);
}

static void
feed_history(struct minder *m, int64_t now_ms)
{
	struct totals_snapshot snapshot;
	struct history_gauges g = {.nic = procfs_nic()};

	for (const struct proc *p = m->master->fleet.procs; p != NULL; p = p->next) {
		g.workers_ready += life_accepts(p->state);
		g.workers_busy += p->state == LIFE_BUSY;
		g.rss_bytes += (uint64_t)p->minded.rss_bytes;
	}
	minder_take(m, &snapshot);
	statsd_send(m->master->statsd, &snapshot);
	m->in_hand = snapshot.sum.stats[STAT_in_flight];
	history_feed(m->history, &snapshot.sum, &g, now_ms);
	heat_feed(m->heat, &snapshot.tallies, now_ms / 1000);
}

/* ---- For `systemctl status` ---- */

static const char *
doing(struct master *m)
{
	static const char *const words[JOB_KINDS] = {
	    [JOB_RELOAD] = "reloading",
	    [JOB_ROLLBACK] = "rolling back",
	    [JOB_SCALE] = "scaling",
	    [JOB_RECYCLE] = "replacing workers",
	    [JOB_UPGRADE] = "upgrading",
	};
	const struct job *j = jobs_running(&m->jobs);

	if (m->chores != NULL && chores_draining(m))
		return "draining";
	return j != NULL ? words[j->kind] : NULL;
}

void
minder_tell_status(struct minder *m)
{
	struct master *master = m->master;
	const struct notify_figures *last = &m->told;
	struct notify_figures now;
	int64_t now_ms = clock_ms();

	if (!master->up || master->stopping)
		return;
	now = (struct notify_figures){
	    .ready = fleet_count_ready(&master->fleet),
	    .wanted = master->fleet.wanted,
	    .generation = master->fleet.gen->number,
	    .in_hand = m->in_hand,
	    .per_second = history_rate(m->history, HISTORY_rps, STATUS_RATE_S),
	    .doing = doing(master),
	};
	if (now.ready == last->ready && now.wanted == last->wanted &&
	    now.generation == last->generation && now.doing == last->doing &&
	    now_ms - m->told_ms < STATUS_EVERY_MS)
		return;
	m->told = now;
	m->told_ms = now_ms;
	notify_status(&now);
}

/* The ledger tells it, too, when there is one. */
static void
tell_overflow(struct minder *m, int64_t now_ms)
{
	const uint64_t n = m->master->accounts.overflowed;

	if (n == m->overflow_told || accounts_have_ledger(&m->master->accounts) ||
	    (m->overflow_ms != 0 && now_ms - m->overflow_ms < OVERFLOW_EVERY_MS))
		return;
	events_emit(&m->master->events, "accounting.overflow",
	    json_pack("{s:I, s:I}", "requests", (json_int_t)(n - m->overflow_told),
		"accounts_max", (json_int_t)master_conf(m->master)->accounts_max));
	m->overflow_told = n;
	m->overflow_ms = now_ms;
}

void
minder_look_at_accounts(struct minder *m)
{
	for (struct proc *p = m->master->fleet.procs; p != NULL; p = p->next)
		accounts_look(&m->master->accounts, &p->accounts);
}

/* For tables of workers to come. */
static void
mind_room(struct minder *m)
{
	const struct fleet *f = &m->master->fleet;

	held_tell(&m->master->held);
	if (!f->stopping)
		accounts_keep_room(&m->master->accounts,
		    (unsigned)master_conf(m->master)->accounts_max, f->wanted);
}

static void
mind_queues(struct minder *m)
{
	const struct listeners *ls = &m->master->listeners;

	for (size_t i = 0; i < ls->n; i++) {
		struct accept_queue q;
		bool full;

		if (ls->v[i].is_unix || !accept_queue_read(ls->v[i].fd, &q))
			continue;
		m->queue_max[i] = MAX(m->queue_max[i], q.waiting);
		full = q.waiting >= q.limit;
		if (full && !m->queue_full[i])
			events_emit(&m->master->events, "listener.queue_full",
			    json_pack("{s:s, s:i, s:i}", "name", ls->v[i].name,
				"accept_queue", (int)q.waiting, "backlog", (int)q.limit));
		m->queue_full[i] = full;
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct minder *m = arg;
	struct fleet *f = &m->master->fleet;
	int64_t now_ms = clock_ms();
	unsigned n_read = 0;

	(void)fd;
	(void)what;
	if (now_ms - m->ticked_ms > SELF_LATE_MS)
		m->awake_ms = now_ms;
	for (struct proc *p = f->procs; p != NULL; p = p->next) {
		if (p->seg == NULL || p->pid <= 0)
			continue;
		mind_load(p);
		mind_heartbeat(m, p, now_ms);
		if (n_read < RSS_PER_TICK)
			n_read += mind_memory(p, now_ms);
	}
	if (!f->stopping && jobs_running(&m->master->jobs) == NULL)
		for (struct proc *p = f->procs; p != NULL; p = p->next)
			if (recycler_is_free(&m->recycler, f, now_ms))
				mind_limits(m, p, now_ms);
	meter_tick(&m->meter, m->master, now_ms);
	if (now_ms / 1000 != m->ticked_ms / 1000) {
		feed_history(m, now_ms);
		minder_look_at_accounts(m);
		mind_room(m);
		tell_overflow(m, now_ms);
		mind_queues(m);
		minder_tell_status(m);
	}
	m->ticked_ms = now_ms;
}

/* ---- The end of a worker ---- */

/* Nobody asked for this end, or not for one like this. */
static bool
is_crash(const struct proc *p, const char *cause)
{
	if (p->expected)
		return strcmp(cause, "status=0") != 0 && p->reason != PROC_STOPPED;
	return !p->failed || strncmp(cause, "status=", 7) != 0;
}

static void
tell_crash_loop(struct minder *m, const struct proc *p)
{
	const struct slot *s = m->master->fleet.slots[p->slot];
	json_t *data;

	if (p->expected || s->backoff.failures < MINDER_CRASH_LOOP)
		return;
	data = minder_name(p);
	json_object_set_new(data, "in_a_row", json_integer(s->backoff.failures));
	events_emit(&m->master->events, "worker.crash_loop", data);
}

static void
fold_counts(struct minder *m, const struct proc *p)
{
	struct slot_counts *base = &m->master->fleet.slots[p->slot]->base;
	uint64_t last[STAT_COUNT];

	totals_fold(&m->totals, p->seg, last);
	slot_counts_add(base, last);
	slot_counts_add_cpu(base, p->usage.user_ticks, p->usage.system_ticks);
}

void
minder_on_gone(struct minder *m, struct proc *p, const char *cause)
{
	struct events *ev = &m->master->events;
	const json_t *record = NULL;
	json_t *data = minder_name(p);

	tracer_gone(&m->tracer, p->pid);
	if (p->seg != NULL) {
		fold_counts(m, p);
		metric_sums_fold(
		    m->metrics, &(struct metric_source){&p->seg->metrics, p->gen->number});
		routes_fold(&m->routes, p->seg);
		top_fold(&m->top, p->seg);
	}
	json_object_set_new(data, "cause", json_string(cause));
	json_object_set_new(data, "reason", json_string(proc_reason_name(p->reason)));
	json_object_set_new(data, "expected", json_boolean(p->expected));
	if (is_crash(p, cause))
		record = crashes_add(&m->crashes, &(struct crash){
						      .slot = p->slot,
						      .pid = p->pid,
						      .cause = cause,
						      .lived_ms = proc_age_ms(p),
						      .epoch = p->epoch,
						      .generation = p->gen->number,
						      .reason = proc_reason_name(p->reason),
						      .seg = p->seg,
						      .trace_fd = p->trace_fd,
						  });
	if (record != NULL) {
		json_t *more = crashes_event_data(record);

		json_object_update_missing(data, more);
		json_decref(more);
		if (json_is_true(json_object_get(record, "oom")))
			events_emit(ev, "worker.oom", json_incref(data));
	}
	events_emit(ev, "worker.exit", data);
	tell_crash_loop(m, p);
}

int
minder_open(struct minder **to, struct master *master, struct err *e)
{
	static const struct timeval every = {.tv_usec = TICK_MS * 1000};
	struct minder *m = calloc(1, sizeof(*m));

	*to = m;
	if (m == NULL)
		return err_set(e, "out of memory");
	m->master = master;
	m->tracer.base = master->base;
	m->checker = (struct checker){master->base, master->argc, master->argv, NULL};
	m->history = history_create();
	m->heat = heat_create();
	m->metrics = metric_sums_create();
	m->tick = event_new(master->base, -1, EV_PERSIST, on_tick, m);
	if (m->history == NULL || m->heat == NULL || m->metrics == NULL ||
	    m->tick == NULL || event_add(m->tick, &every) < 0)
		return err_set(e, "out of memory");
	m->ticked_ms = m->awake_ms = clock_ms();
	crashes_init(&m->crashes);
	log_set_counts(m->logged);
	return 0;
}

void
minder_close(struct minder *m)
{
	if (m == NULL)
		return;
	if (m->tick != NULL)
		event_free(m->tick);
	log_set_counts(NULL);
	tracer_finish(&m->tracer);
	checker_finish(&m->checker);
	crashes_finish(&m->crashes);
	totals_finish(&m->totals);
	metric_sums_destroy(m->metrics);
	routes_finish(&m->routes);
	top_finish(&m->top);
	history_destroy(m->history);
	heat_destroy(m->heat);
	free(m->live);
	free(m);
}
