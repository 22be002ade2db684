/* Starts, watches and ends the ledger. SPDX-License-Identifier: MIT */
#include "master/books.h"

#include "common/log.h"
#include "common/siphash.h"
#include "master/books_lock.h"
#include "master/books_sums.h"
#include "master/master.h"
#include "master/sidecar.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define LEDGER_NAME "shoal-ledger"
#define DATABASE_NAME "ledger.db"
#define GRACE_MS 15000 /* of its last flush, on a disk that is slow */
/* Longer than most flushes and queries: a new one has to begin from the start. */
#define SILENCE_MS 30000
#define PING "ledger.ping"
#define PING_MS 10000
/* A ledger whose master was killed flushes once more before it lets go of the database. On
 * a slow disk that takes long: then serving begins, and the books wait for it. */
#define LOCK_TRIES 10
#define LOCK_PAUSE_NS 100000000

struct books {
	struct master *master;   /* borrowed */
	struct sidecar *sidecar; /* owned */
	char database[PATH_MAX], dir[512], program[1024], node[300];
	int quota_fd; /* owned */
	struct books_lock lock;
	int dir_fd;          /* owned; locked against others with this runtime directory */
	bool ending;         /* the master's loop waits for it */
	struct quota quotas; /* of quota_fd */
	struct books_sums sums;
};

/* ---- Where things are ---- */

static bool
find_database(const struct conf *c, char *path, size_t max)
{
	const char *state = c->state_dir ? c->state_dir : getenv("STATE_DIRECTORY");

	if (c->ledger != NULL && strcmp(c->ledger, "none") == 0)
		return false;
	if (c->ledger != NULL && c->ledger[0] != '\0')
		snprintf(path, max, "%s", c->ledger);
	else if (state != NULL && state[0] != '\0')
		/* systemd separates several by colons. */
		snprintf(path, max, "%.*s/" DATABASE_NAME, (int)strcspn(state, ":"), state);
	else
		return false;
	return true;
}

/* The directory goes with the database, which is one instance's by its lock: names of
 * instances are their applications' by default, and need not differ. */
static int
name_dir(const char *database, char *dir, size_t max)
{
	static const uint64_t any_key[2];
	const char *runtime = getenv("RUNTIME_DIRECTORY");
	int n;

	if (runtime != NULL && runtime[0] != '\0')
		n = snprintf(
		    dir, max, "%.*s/accounts", (int)strcspn(runtime, ":"), runtime);
	else
		n = snprintf(dir, max, "/dev/shm/shoal-%u-%016llx", (unsigned)geteuid(),
		    (unsigned long long)siphash(any_key, database, strlen(database)));
	return n > 0 && (size_t)n < max ? 0 : -1;
}

const char *
books_dir(const struct books *b)
{
	return b ? b->dir : NULL;
}

static int
make_dir(struct books *b, struct err *e)
{
	const char *dir = b->dir;
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_errno(e,
		    "the accounts' directory %s (RUNTIME_DIRECTORY names another place)",
		    dir);
	if (lstat(dir, &st) < 0)
		return err_errno(e, "the accounts' directory %s", dir);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
		return err_set(e,
		    "the accounts' directory %s must belong to uid %u, and nobody else may "
		    "write "
		    "there",
		    dir, (unsigned)geteuid());
	b->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (b->dir_fd < 0)
		return err_errno(e, "the accounts' directory %s", dir);
	for (int i = 0; flock(b->dir_fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK || i >= LOCK_TRIES)
			return err_set(e,
			    "the accounts' directory %s is in use by another instance; "
			    "give each its own RUNTIME_DIRECTORY",
			    dir);
		nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
	}
	return 0;
}

static int
make_absolute(char *path, size_t max, struct err *e)
{
	char cwd[PATH_MAX / 2], given[PATH_MAX / 2];

	if (path[0] == '/')
		return 0;
	if (strlen(path) >= sizeof(given) || getcwd(cwd, sizeof(cwd)) == NULL)
		return err_set(e, "--ledger %s: cannot be made an absolute path", path);
	snprintf(given, sizeof(given), "%s", path);
	snprintf(path, max, "%s/%s", cwd, given);
	return 0;
}

/* ---- The process ---- */

/* It keeps the lock as long as it lives, also beyond a master that is killed. */
static size_t
on_start(void *ctx, int fds[SIDECAR_FDS_MAX])
{
	struct books *b = ctx;
	struct err e = {""};

	/* Two would count the same twice. */
	if (books_lock_take(&b->lock, 1, &e) < 0 ||
	    (b->lock.place_fd >= 0 && b->lock.fd < 0)) {
		log_warn("ledger", "database in use", "reason=\"%s\"",
		    e.text[0] ? e.text : "the ledger of a master before still writes");
		return SIDECAR_NOT_NOW;
	}
	fds[0] = b->lock.fd;
	return b->lock.fd < 0 ? 0 : 1;
}

static json_t *
on_config(void *ctx)
{
	struct books *b = ctx;
	const struct conf *c = &b->master->heritage.conf;

	books_sums_begin(&b->sums);
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "segments", b->dir,
	    "database", b->database, "node", b->node, "flush_ms",
	    (json_int_t)c->ledger_flush, "minutes_s",
	    (json_int_t)(c->ledger_keep_minutes / 1000), "hours_s",
	    (json_int_t)(c->ledger_keep_hours / 1000), "days_s",
	    (json_int_t)(c->ledger_keep_days / 1000), "outbox_s",
	    (json_int_t)(c->ledger_keep_outbox / 1000));
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

	if (strcmp(type, LEDGER_COUNTS_EVENT) == 0)
		books_sums_take(&b->sums, data);
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
	    .on_state = on_state,
	    .on_event = on_event,
	    .on_ended = on_ended,
	};

	if (access(b->program, X_OK) < 0)
		return err_errno(
		    e, "cannot run %s, which belongs beside shoal", b->program);
	b->sidecar = sidecar_open(&setup, e);
	return b->sidecar ? 0 : -1;
}

static int
open_quotas(struct books *b, struct err *e)
{
	AUTO_FD int dir = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_errno(e, "the accounts' directory %s", b->dir);
	b->quota_fd = quota_file(dir, false, e);
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

int
books_open(struct books **out, struct master *m, struct err *e)
{
	const struct conf *c = &m->heritage.conf;
	char database[PATH_MAX];
	struct books *b;
	struct stat st;

	if (!find_database(c, database, sizeof(database)))
		return 0;
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return err_set(e, "out of memory");
	*out = b;
	b->master = m;
	b->dir_fd = b->quota_fd = -1;
	b->lock = (struct books_lock){b->database, -1, -1};
	snprintf(b->database, sizeof(b->database), "%s", database);
	snprintf(b->program, sizeof(b->program), "%s/" LEDGER_NAME, m->bin_dir);
	name_node(b, c);
	b->sums.complete_until = (double)time(NULL);
	books_sums_restore(&b->sums, json_object_get(m->adopted, "books"));
	if (make_absolute(b->database, sizeof(b->database), e) < 0)
		return -1;
	if (stat(b->database, &st) == 0 && S_ISDIR(st.st_mode))
		return err_set(e, "--ledger %s is a directory; name a file", b->database);
	if (name_dir(b->database, b->dir, sizeof(b->dir)) < 0)
		return err_set(e, "the path of the accounts' directory is too long");
	if (books_lock_take(&b->lock, LOCK_TRIES, e) < 0)
		return -1;
	if (make_dir(b, e) < 0 || open_quotas(b, e) < 0)
		return -1;
	return start(b, e);
}

/* After a clean end nothing is left there but the table of quotas; what could not be
 * flushed stays for the next instance. */
static void
remove_dir(const struct books *b)
{
	char path[sizeof(b->dir) + sizeof(QUOTA_FILE) + 1];

	snprintf(path, sizeof(path), "%s/" QUOTA_FILE, b->dir);
	(void)unlink(path);
	(void)rmdir(b->dir);
}

void
books_close(struct books *b)
{
	if (b == NULL)
		return;
	if (b->ending && sidecar_has_ended(b->sidecar))
		remove_dir(b);
	sidecar_close(b->sidecar);
	books_lock_drop(&b->lock);
	if (b->dir_fd >= 0)
		close(b->dir_fd);
	quota_close(&b->quotas);
	if (b->quota_fd >= 0)
		close(b->quota_fd);
	free(b);
}

pid_t
books_pid(const struct books *b)
{
	return b != NULL && b->sidecar != NULL ? sidecar_pid(b->sidecar) : 0;
}
