/* The flush, and what becomes of it when the disk does not want it.
 * SPDX-License-Identifier: MIT */
#include "master/ledger/ledger.h"

#include "common/handing.h"
#include "common/log.h"
#include "master/ledger/columns.h"
#include "master/ledger/quotas.h"

#include <stdio.h>
#include <sys/timerfd.h>
#include <time.h>

#define CLOCK_JUMP_NS 1000000000ll
#define SAY_AGAIN_MS 60000
#define SAY_PRUNED_MS 3600000
#define SLOW_MS 1000.0
#define AGE_MS 60000
#define AGE_AGAIN_MS 1000

double
ledger_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t
boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int64_t
ledger_boot_ms(void)
{
	return (int64_t)(boot_ns() / 1000000);
}

void
ledger_event(struct ledger *l, const char *type, json_t *data)
{
	wire_send(&l->wire, json_pack("{s:s, s:o}", "event", type, "data", data));
}

/* ---- Clocks ---- */

static int64_t
clock_offset_ns(void)
{
	struct timespec wall, boot;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return ((int64_t)wall.tv_sec - boot.tv_sec) * 1000000000 + wall.tv_nsec -
	       boot.tv_nsec;
}

/* A timer that never comes, and is cancelled whenever somebody sets the clock. */
static int
watch_clock(int fd)
{
	struct itimerspec far = {.it_value.tv_sec = (time_t)1 << 40};

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

void
ledger_on_clock(struct ledger *l)
{
	int64_t before = l->clock_offset_ns, by;

	l->clock_offset_ns = clock_offset_ns();
	by = l->clock_offset_ns - before;
	(void)watch_clock(l->clock_fd);
	if (by < CLOCK_JUMP_NS && by > -CLOCK_JUMP_NS)
		return;
	log_warn("ledger", "the clock was set", "by_s=%.3f", (double)by / 1e9);
	ledger_event(
	    l, "accounting.clock_jump", json_pack("{s:f}", "by_s", (double)by / 1e9));
}

/* ---- Failures ---- */

static bool
disk_is_full(const struct store *s)
{
	int rc = s->rc & 0xff;

	return rc == SQLITE_FULL || rc == SQLITE_IOERR || rc == SQLITE_READONLY ||
	       rc == SQLITE_CANTOPEN || rc == SQLITE_PERM;
}

static enum ledger_count
kind_of_failure(const struct store *s)
{
	switch (s->rc & 0xff) {
	case SQLITE_FULL:
		return LEDGER_flushes_full;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return LEDGER_flushes_busy;
	default:
		return LEDGER_flushes_io;
	}
}

/* What was counted stays in memory; the first of a row of failures is told. */
static int
fail(struct ledger *l, const struct err *e)
{
	l->failed_flushes++;
	l->counts.count[kind_of_failure(&l->store)]++;
	l->failed_in_a_row++;
	snprintf(l->why, sizeof(l->why), "%s", e->text);
	if (l->failing)
		return -1;
	l->failing = true;
	l->failing_since = ledger_now();
	log_error("ledger", "flush failed",
	    "reason=\"%s\" consequence=\"counting goes on in memory\"", l->why);
	ledger_event(l,
	    disk_is_full(&l->store) ? "accounting.disk_full" : "accounting.flush_failed",
	    json_pack("{s:s, s:s}", "path", l->store.path, "reason", l->why));
	return -1;
}

static void
recover(struct ledger *l)
{
	if (!l->failing)
		return;
	log_info("ledger", "flushes succeed again", "failed=%llu for_s=%.1f",
	    (unsigned long long)l->failed_in_a_row, ledger_now() - l->failing_since);
	ledger_event(l, "accounting.recovered",
	    json_pack("{s:I, s:f}", "failed_flushes", (json_int_t)l->failed_in_a_row,
		"for_s", ledger_now() - l->failing_since));
	l->failing = false;
	l->failed_in_a_row = 0;
	l->why[0] = '\0';
}

static int
begin_anew(struct ledger *l, struct err *e)
{
	char why[1024], aside[4300] = "";

	snprintf(why, sizeof(why), "%s", e->text);
	if (store_set_aside(&l->store, aside, sizeof(aside), e) < 0 ||
	    store_open(&l->store, e) < 0)
		return -1;
	segments_mark_all(&l->segments);
	l->has_lot = false;
	log_crit("ledger", "database corrupt, a new one was begun",
	    "reason=\"%s\" kept_as=\"%s\" advice=\"look for what it holds with sqlite3's "
	    ".recover\"",
	    why, aside);
	ledger_event(l, "accounting.corrupt",
	    json_pack(
		"{s:s, s:s, s:s}", "path", l->store.path, "kept_as", aside, "reason", why));
	return 0;
}

static int
open_store(struct ledger *l, struct err *e)
{
	int rc = store_open(&l->store, e);

	if (rc < 0 && store_is_corrupt(&l->store))
		rc = begin_anew(l, e);
	if (rc < 0)
		return -1;
	/* The time nobody looked after: what was counted meanwhile belongs to no minute. */
	l->complete_until =
	    (double)store_get_meta(&l->store, "last_flush", (int64_t)ledger_now());
	return quotas_load(l->quotas, &l->store, (int64_t)ledger_now(), e);
}

/* ---- The flush ---- */

static void
next_lot(struct ledger *l, int64_t bucket)
{
	l->store.lot++;
	l->lot_bucket = bucket;
	l->has_lot = true;
}

static int
commit(struct ledger *l, double now, struct err *e)
{
	struct store *s = &l->store;

	if (store_begin(s, e) < 0)
		return -1;
	if (segments_put(&l->segments, s, e) < 0 || quotas_put(l->quotas, s, e) < 0 ||
	    store_set_meta(s, "last_flush", (int64_t)now, e) < 0 ||
	    store_commit(s, e) < 0) {
		store_rollback(s);
		return -1;
	}
	segments_settle(&l->segments);
	quotas_settle(l->quotas);
	return 0;
}

/* Overflowing tables and slow disks are told once a minute. */
static void
tell_troubles(struct ledger *l)
{
	uint64_t bytes = l->segments.overflow_bytes - l->overflow_seen;
	int64_t now = ledger_boot_ms();

	if (bytes > 0 && now >= l->overflow_said_ms + SAY_AGAIN_MS) {
		log_warn("ledger", "accounts share the row ~overflow",
		    "bytes=%llu advice=\"raise --accounts-max\"",
		    (unsigned long long)bytes);
		ledger_event(l, "accounting.overflow",
		    json_pack("{s:I}", "bytes", (json_int_t)bytes));
		l->overflow_said_ms = now;
		l->overflow_seen = l->segments.overflow_bytes;
	}
	if (l->last_took_ms >= SLOW_MS && now >= l->slow_said_ms + SAY_AGAIN_MS) {
		log_warn("ledger", "slow disk", "flush_ms=%.0f", l->last_took_ms);
		ledger_event(l, "accounting.slow_disk",
		    json_pack("{s:f}", "took_s", l->last_took_ms / 1000));
		l->slow_said_ms = now;
	}
}

/* Once an hour where somebody ships, else once a life: then the age is all that ends
 * them, as was set. */
static void
tell_pruned(struct ledger *l)
{
	const bool ships = l->store.shipped > 0;
	int64_t n = l->store.pruned - l->pruned_said, now = ledger_boot_ms();

	l->counts.count[LEDGER_pruned_records] = (uint64_t)l->store.pruned;
	if (n == 0 ||
	    (l->pruned_said > 0 && (!ships || now < l->pruned_said_ms + SAY_PRUNED_MS)))
		return;
	log_warn("ledger", "the outbox dropped records that nobody had asked for",
	    "records=%lld advice=\"%s\"", (long long)n,
	    ships ? "see why the shipper does not get on, or raise --ledger-keep-outbox"
		  : "where nothing ships them, --ledger-keep-outbox 0 makes none");
	ledger_event(l, "accounting.outbox_pruned",
	    json_pack("{s:I, s:b}", "records", (json_int_t)n, "shipper", ships));
	l->pruned_said = l->store.pruned;
	l->pruned_said_ms = now;
}

static void
grow_old(struct ledger *l)
{
	int64_t now = ledger_boot_ms();
	struct err e = {""};
	bool more;

	if (now < l->age_due_ms)
		return;
	if (store_age(&l->store, (int64_t)ledger_now(), &more, &e) < 0)
		log_warn("ledger", "roll-up failed", "reason=\"%s\"", e.text);
	tell_pruned(l);
	l->age_due_ms = now + (more ? AGE_AGAIN_MS : AGE_MS);
}

static uint64_t
late_bytes(const struct segments *sg)
{
	int64_t sum = 0;

	for (size_t i = 0; i < sg->n_pending; i++)
		if (sg->pending[i].late)
			sum += columns_billable_of(sg->pending[i].delta);
	return (uint64_t)MAX(sum, (int64_t)0);
}

/* Into a new file where the old one is corrupt: everything pending is still here. */
static int
commit_anyhow(struct ledger *l, double now, struct err *e)
{
	uint64_t late = late_bytes(&l->segments);

	if (commit(l, now, e) < 0) {
		if (!store_is_corrupt(&l->store) || begin_anew(l, e) < 0 ||
		    quotas_save(l->quotas, &l->store, e) < 0 || commit(l, now, e) < 0)
			return -1;
	}
	l->counts.count[LEDGER_late_bytes] += late;
	return 0;
}

/* Everything up to the commit. The disk's own failures leave the counts pending. 1: there
 * was nothing to write. */
static int
gather_and_commit(struct ledger *l, double now, struct err *e)
{
	int64_t bucket = (int64_t)now / LEDGER_BUCKET_S * LEDGER_BUCKET_S;
	bool late;

	if (l->store.db == NULL && open_store(l, e) < 0)
		return -1;
	late = !l->has_lot && l->complete_until < (double)(bucket - LEDGER_BUCKET_S);
	if (!l->has_lot || bucket != l->lot_bucket)
		next_lot(l, bucket);
	quotas_roll(l->quotas, &l->store, (int64_t)now);
	if (segments_scan(&l->segments, &l->store, e) < 0 ||
	    segments_collect(&l->segments, l->store.lot, bucket, late, e) < 0)
		return -1;
	if (quotas_tick(l->quotas) && !l->segments.news && !l->failing)
		return 1;
	return commit_anyhow(l, now, e);
}

static void
count_flush(struct ledger *l, uint64_t took_ns)
{
	l->counts.count[LEDGER_flushes_ok]++;
	l->counts.count[LEDGER_flush_us] += took_ns / 1000;
	l->counts.classes[hist_class(took_ns)]++;
}

static int
flush(struct ledger *l, bool new_lot)
{
	double now = ledger_now();
	uint64_t from = boot_ns(), took;
	struct err e = {""};
	int rc;

	l->store.rc = SQLITE_OK;
	rc = gather_and_commit(l, now, &e);
	if (rc < 0)
		return fail(l, &e);
	took = boot_ns() - from;
	if (rc == 0)
		count_flush(l, took);
	l->last_took_ms = (double)took / 1e6;
	l->max_took_ms = MAX(l->max_took_ms, l->last_took_ms);
	l->flushes++;
	l->complete_until = now;
	recover(l);
	if (new_lot)
		next_lot(l, l->lot_bucket);
	if (segments_retire(&l->segments, &l->store, &e) < 0)
		log_warn("ledger", "segments cannot be retired", "reason=\"%s\"", e.text);
	tell_troubles(l);
	grow_old(l);
	return 0;
}

int
ledger_flush(struct ledger *l, bool new_lot)
{
	int rc = flush(l, new_lot);

	quotas_tell(l->quotas, l);
	ledger_tell_counts(l);
	return rc;
}

/* ---- From the beginning to the end ---- */

static void
on_delta(void *ctx, const char *account, int64_t bucket, const int64_t delta[ACCT_COLUMNS])
{
	struct ledger *l = ctx;

	quotas_count(l->quotas, account, bucket, columns_billable_of(delta));
}

static void
on_nonsense(
    void *ctx, const struct segment *s, uint32_t row, const char *account, const char *why)
{
	struct ledger *l = ctx;

	l->flagged++;
	log_error("ledger", "counters make no sense, not counted",
	    "segment=%s row=%u account=\"%s\" reason=\"%s\"", s->name, row, account, why);
	ledger_event(l, "accounting.rejected",
	    json_pack("{s:s, s:i, s:s, s:s}", "segment", s->name, "row", (int)row,
		"account", account, "reason", why));
}

static void
on_finished(void *ctx, const struct segment *s)
{
	ledger_event(ctx, LEDGER_TABLE_DONE, json_pack("{s:s}", "name", s->name));
}

static int
open_timers(struct ledger *l, struct err *e)
{
	struct itimerspec every = {
	    .it_interval = {l->flush_ms / 1000, l->flush_ms % 1000 * 1000000},
	    .it_value = {l->flush_ms / 1000, l->flush_ms % 1000 * 1000000}};

	l->clock_offset_ns = clock_offset_ns();
	l->tick_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	l->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->tick_fd < 0 || l->clock_fd < 0 ||
	    timerfd_settime(l->tick_fd, 0, &every, NULL) < 0 ||
	    watch_clock(l->clock_fd) < 0)
		return err_errno(e, "timerfd");
	return 0;
}

int
ledger_open(struct ledger *l, const json_t *config, struct err *e)
{
	struct store *s = &l->store;

	snprintf(s->path, sizeof(s->path), "%s", ledger_param_text(config, "database", ""));
	snprintf(s->node, sizeof(s->node), "%s", ledger_param_text(config, "node", "node"));
	l->flush_ms = MAX(ledger_param_int(config, "flush_ms", 1000), (int64_t)10);
	s->spans = (struct store_spans){
	    .minutes_s = ledger_param_int(config, "minutes_s", 172800),
	    .hours_s = ledger_param_int(config, "hours_s", 7776000),
	    .days_s = ledger_param_int(config, "days_s", 0),
	    .outbox_s = ledger_param_int(config, "outbox_s", 604800),
	};
	if (s->path[0] != '/')
		return err_set(
		    e, "the database needs an absolute path, not \"%s\"", s->path);
	if (segments_open(&l->segments, ledger_param_text(config, "segments", ""), e) < 0)
		return -1;
	l->segments.ops = (struct segments_ops){.on_delta = on_delta,
	    .on_nonsense = on_nonsense,
	    .on_finished = on_finished,
	    .ctx = l};
	l->segments.awaited = (size_t)MAX(ledger_param_int(config, "handed", 0), 0);
	l->quotas = quotas_create(
	    l->segments.dir_fd, (int)ledger_param_int(config, "quota_fd", -1), e);
	if (l->quotas == NULL || open_timers(l, e) < 0)
		return -1;
	/* A disk that does not want it now may want it later. */
	(void)!ledger_flush(l, false);
	return 0;
}

void
ledger_close(struct ledger *l)
{
	const int fds[] = {l->tick_fd, l->clock_fd};

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	store_close(&l->store);
	segments_close(&l->segments);
	quotas_destroy(l->quotas);
	wire_finish(&l->wire);
}
