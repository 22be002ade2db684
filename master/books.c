/* Starts, watches and ends the ledger. SPDX-License-Identifier: MIT */
#include "master/books.h"

#include "common/acct_spare.h"
#include "common/handing.h"
#include "common/log.h"
#include "master/books_lock.h"
#include "master/books_place.h"
#include "master/books_sums.h"
#include "master/clock.h"
#include "master/master.h"
#include "master/sidecar.h"

#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#define LEDGER_NAME "shoal-ledger"
#define GRACE_MS 15000 /* of its last flush, on a disk that is slow */
/* Longer than most flushes and queries: a new one has to begin from the start. */
#define SILENCE_MS 30000
#define PING "ledger.ping"
#define PING_MS 10000
/* A ledger whose master was killed flushes once more before it lets go of the database. On
 * a slow disk that takes long: then serving begins, and the books wait for it. */
#define LOCK_TRIES 10

struct books {
	struct master *master;   /* borrowed */
	struct sidecar *sidecar; /* owned */
	char database[PATH_MAX], dir[512], program[1024], node[300];
	int quota_fd;        /* owned; what workers get, who may only read it */
	int quota_memory_fd; /* owned; the ledger's, of a table without a file; else -1 */
	struct books_lock lock;
	int dir_fd;  /* owned; locked against others with this runtime directory; -1: there
			is none */
	bool ending; /* the master's loop waits for it */
	bool lockless;       /* the lock's file cannot be made; told already */
	int64_t lockless_ms; /* since when */
	struct quota quotas; /* of quota_fd */
	struct books_sums sums;
};

/* ---- Where things are ---- */

const char *
books_dir(const struct books *b)
{
	return b && b->dir_fd >= 0 ? b->dir : NULL;
}

/* ---- The database's lock ---- */

/* As if it were a ledger's first flush that failed. */
static void
tell_lockless(struct books *b, const char *why)
{
	if (b->lockless)
		return;
	b->lockless = true;
	b->lockless_ms = clock_ms();
	log_error("ledger", "database cannot be written, there is no ledger yet",
	    "reason=\"%s\" consequence=\"counting goes on in memory\"", why);
	events_emit(&b->master->events, "accounting.disk_full",
	    json_pack("{s:s, s:s}", "path", b->database, "reason", why));
}

static void
tell_locked(struct books *b)
{
	if (!b->lockless)
		return;
	b->lockless = false;
	events_emit(&b->master->events, "accounting.recovered",
	    json_pack("{s:i, s:f}", "failed_flushes", 0, "for_s",
		(double)(clock_ms() - b->lockless_ms) / 1000));
}

/* ---- Tables that have no room in the directory ---- */

static json_int_t
free_bytes(const struct books *b)
{
	struct statvfs fs;

	return b->dir_fd >= 0 && fstatvfs(b->dir_fd, &fs) == 0
		   ? (json_int_t)(fs.f_bavail * fs.f_frsize)
		   : 0;
}

static void
on_full(void *ctx, const char *why, size_t needed)
{
	static const char advice[] =
	    "free room there, make its tmpfs larger, or name another place with "
	    "RUNTIME_DIRECTORY";
	struct books *b = ctx;

	log_error("accounts", "tables of new workers are in memory alone",
	    "directory=%s free_bytes=%lld needed_bytes=%zu reason=\"%s\" "
	    "consequence=\"nothing is lost unless master and ledger are killed together\" "
	    "advice=\"%s\"",
	    b->dir, (long long)free_bytes(b), needed, why, advice);
	events_emit(&b->master->events, "accounting.memory_only",
	    json_pack("{s:s, s:I, s:I, s:s, s:s}", "directory", b->dir, "free_bytes",
		free_bytes(b), "needed_bytes", (json_int_t)needed, "reason", why, "advice",
		advice));
}

static void
on_room(void *ctx)
{
	struct books *b = ctx;

	log_info("accounts", "tables of new workers are files again",
	    "directory=%s free_bytes=%lld", b->dir, (long long)free_bytes(b));
	events_emit(&b->master->events, "accounting.memory_only_ended",
	    json_pack("{s:s, s:I}", "directory", b->dir, "free_bytes", free_bytes(b)));
}

static bool
on_hand(void *ctx, const char *name, int fd)
{
	struct books *b = ctx;

	return b->sidecar != NULL && sidecar_hand(b->sidecar, LEDGER_TABLE,
					 json_pack("{s:s}", "name", name), fd) == 0;
}

/* ---- The process ---- */

/* It keeps the lock as long as it lives, also beyond a master that is killed. */
static size_t
on_start(void *ctx, int fds[SIDECAR_FDS_MAX])
{
	struct books *b = ctx;
	struct err e = {""};

	/* Two would count the same twice. */
	if (books_lock_take(&b->lock, 1, &e) < 0)
		log_warn("ledger", "database in use", "reason=\"%s\"", e.text);
	else if (b->lock.blocked != 0)
		tell_lockless(b, strerror(b->lock.blocked));
	else if (b->lock.fd < 0)
		log_warn("ledger", "database in use",
		    "reason=\"the ledger of a master before still writes\"");
	if (b->lock.fd < 0)
		return SIDECAR_NOT_NOW;
	tell_locked(b);
	fds[0] = b->lock.fd;
	fds[1] = b->quota_memory_fd;
	return b->quota_memory_fd < 0 ? 1 : 2;
}

static json_t *
on_config(void *ctx)
{
	struct books *b = ctx;
	const struct conf *c = &b->master->heritage.conf;

	books_sums_begin(&b->sums);
	return json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "segments",
	    b->dir_fd < 0 ? "" : b->dir, "database", b->database, "node", b->node,
	    "quota_fd", b->quota_memory_fd < 0 ? -1 : SIDECAR_FIRST_FD + 1, "handed",
	    (json_int_t)held_forget_told(&b->master->held), "flush_ms",
	    (json_int_t)c->ledger_flush, "minutes_s",
	    (json_int_t)(c->ledger_keep_minutes / 1000), "hours_s",
	    (json_int_t)(c->ledger_keep_hours / 1000), "days_s",
	    (json_int_t)(c->ledger_keep_days / 1000), "outbox_s",
	    (json_int_t)(c->ledger_keep_outbox / 1000));
}

static void
on_started(void *ctx)
{
	struct books *b = ctx;

	held_tell(&b->master->held);
}

static void
on_state(void *ctx, const char *why)
{
	struct books *b = ctx;

	if (why != NULL)
		events_emit(&b->master->events, "accounting.ledger_down",
		    json_pack("{s:s}", "reason", why));
}

static void
on_event(void *ctx, const char *type, json_t *data)
{
	struct books *b = ctx;
	const char *name = json_string_value(json_object_get(data, "name"));

	if (strcmp(type, LEDGER_COUNTS_EVENT) == 0)
		books_sums_take(&b->sums, data);
	else if (strcmp(type, LEDGER_TABLE_DONE) == 0)
		held_drop(&b->master->held, name ? name : "");
	else
		events_emit(&b->master->events, type, json_incref(data));
}

static void
on_ended(void *ctx)
{
	struct books *b = ctx;

	if (b->ending)
		event_base_loopbreak(b->master->base);
}

bool
books_end(struct books *b)
{
	if (b == NULL || b->sidecar == NULL)
		return false;
	b->ending = true;
	sidecar_end(b->sidecar);
	return !sidecar_has_ended(b->sidecar);
}

bool
books_rest(struct books *b)
{
	if (b == NULL || b->sidecar == NULL)
		return true;
	sidecar_end(b->sidecar);
	return sidecar_has_ended(b->sidecar);
}

void
books_resume(struct books *b)
{
	if (b != NULL && b->sidecar != NULL)
		sidecar_restart(b->sidecar);
}

bool
books_on_child(struct books *b, pid_t pid, int status)
{
	return b != NULL && sidecar_on_child(b->sidecar, pid, status);
}

int
books_request(struct books *b, const char *method, json_t *params, books_answer_fn *answer,
    void *ctx, struct err *e)
{
	return sidecar_request(b->sidecar, method, params, answer, ctx, e);
}

int64_t
books_silent_ms(const struct books *b)
{
	return sidecar_silent_ms(b->sidecar);
}

void
books_forget(struct books *b, const void *ctx)
{
	if (b != NULL && b->sidecar != NULL)
		sidecar_forget(b->sidecar, ctx);
}

static void
name_node(struct books *b, const struct conf *c)
{
	char host[200] = "";

	if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0')
		strcpy(host, "host");
	if (c->ledger_node != NULL && c->ledger_node[0] != '\0')
		snprintf(b->node, sizeof(b->node), "%s", c->ledger_node);
	else
		snprintf(b->node, sizeof(b->node), "%s-%s", host, conf_instance_name(c));
	/* A slash would be taken for the end of the name in an exported id. */
	for (char *p = b->node; *p != '\0'; p++)
		if (*p == '/')
			*p = '_';
}

static int
start(struct books *b, struct err *e)
{
	const struct sidecar_setup setup = {
	    .base = b->master->base,
	    .name = "ledger",
	    .path = b->program,
	    .grace_ms = GRACE_MS,
	    .must_finish = true,
	    .silence_ms = SILENCE_MS,
	    .ping = PING,
	    .ping_ms = PING_MS,
	    .ctx = b,
	    .on_start = on_start,
	    .on_config = on_config,
	    .on_started = on_started,
	    .on_state = on_state,
	    .on_event = on_event,
	    .on_ended = on_ended,
	};

	if (access(b->program, X_OK) < 0)
		return err_errno(
		    e, "cannot run %s, which belongs beside shoal", b->program);
	b->sidecar = sidecar_open(&setup, e);
	if (b->sidecar == NULL)
		return -1;
	held_tell(&b->master->held);
	return 0;
}

/* 0 also without: then tables are in memory alone. */
static int
make_dir(struct books *b, struct err *e)
{
	bool without;

	b->dir_fd = books_make_dir(b->dir, &without, e);
	if (b->dir_fd >= 0)
		return 0;
	if (without)
		held_set_full(&b->master->held, e->text, 0);
	return without ? 0 : -1;
}

static int
open_quotas(struct books *b, struct err *e)
{
	if (b->dir_fd >= 0)
		b->quota_fd = quota_file(b->dir_fd, false, e);
	/* No room: its rows come from the database anyhow. */
	if (b->quota_fd < 0)
		b->quota_memory_fd = quota_memory(&b->quota_fd, e);
	return b->quota_fd < 0 ? -1 : quota_open(&b->quotas, b->quota_fd, false, e);
}

int
books_quota_fd(const struct books *b)
{
	return b ? b->quota_fd : -1;
}

const struct quota *
books_quotas(const struct books *b)
{
	return &b->quotas;
}

const struct books_sums *
books_sums(const struct books *b)
{
	return b ? &b->sums : NULL;
}

static void
hold_for(struct held *h, struct books *b)
{
	h->ctx = b;
	h->hand = b ? on_hand : NULL;
	h->on_full = b ? on_full : NULL;
	h->on_room = b ? on_room : NULL;
}

int
books_open(struct books **out, struct master *m, struct err *e)
{
	const struct conf *c = &m->heritage.conf;
	char database[PATH_MAX];
	struct books *b;
	struct stat st;

	if (!books_find_database(c, database, sizeof(database)))
		return 0;
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return err_set(e, "out of memory");
	*out = b;
	b->master = m;
	b->dir_fd = b->quota_fd = b->quota_memory_fd = -1;
	b->lock = (struct books_lock){.database = b->database, .place_fd = -1, .fd = -1};
	hold_for(&m->held, b);
	snprintf(b->database, sizeof(b->database), "%s", database);
	snprintf(b->program, sizeof(b->program), "%s/" LEDGER_NAME, m->bin_dir);
	name_node(b, c);
	b->sums.complete_until = (double)time(NULL);
	books_sums_restore(&b->sums, json_object_get(m->adopted, "books"));
	if (books_make_absolute(b->database, sizeof(b->database), e) < 0)
		return -1;
	if (stat(b->database, &st) == 0 && S_ISDIR(st.st_mode))
		return err_set(e, "--ledger %s is a directory; name a file", b->database);
	if (books_name_dir(b->database, b->dir, sizeof(b->dir), e) < 0)
		return -1;
	if (books_lock_take(&b->lock, LOCK_TRIES, e) < 0)
		return -1;
	if (make_dir(b, e) < 0 || open_quotas(b, e) < 0)
		return -1;
	return start(b, e);
}

/* What the ledger could not put into the database, and is in no file. */
static void
save_held(const struct books *b)
{
	struct held *h = &b->master->held;
	size_t lost = held_save(h, b->dir_fd);

	if (lost > 0)
		log_crit("accounts",
		    "counts that are in no file and not in the ledger are lost",
		    "tables=%zu directory=%s free_bytes=%lld advice=\"both that directory "
		    "and the ledger's disk were full\"",
		    lost, b->dir, (long long)free_bytes(b));
}

/* After a clean end nothing is left there but the table of quotas and what was reserved;
 * what could not be flushed stays for the next instance. */
static void
remove_dir(const struct books *b)
{
	if (b->dir_fd < 0)
		return;
	acct_spare_drop(b->dir_fd);
	(void)unlinkat(b->dir_fd, QUOTA_FILE, 0);
	(void)rmdir(b->dir);
}

void
books_close(struct books *b)
{
	if (b == NULL)
		return;
	if (b->ending && sidecar_has_ended(b->sidecar)) {
		save_held(b);
		remove_dir(b);
	}
	sidecar_close(b->sidecar);
	books_lock_drop(&b->lock);
	quota_close(&b->quotas);
	hold_for(&b->master->held, NULL);
	const int fds[] = {b->dir_fd, b->quota_fd, b->quota_memory_fd};
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(b);
}

pid_t
books_pid(const struct books *b)
{
	return b != NULL && b->sidecar != NULL ? sidecar_pid(b->sidecar) : 0;
}
