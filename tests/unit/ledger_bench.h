/* For the ledger's tests: a directory of segments, a ledger on it, and what it tells the
 * master. SPDX-License-Identifier: MIT */
#pragma once

#include "master/ledger/columns.h"
#include "master/ledger/ledger.h"
#include "master/ledger/quotas.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

struct bench {
	char dir[64];
	struct ledger l;
	int master; /* our end of the stream */
	int handed; /* tables it is told to wait for */
	char said[65536];
};

static inline json_t *
bench_config(const struct bench *b)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/ledger.db", b->dir);
	return json_pack("{s:s, s:s, s:s, s:i, s:i}", "segments", b->dir, "database", path,
	    "node", "n1", "flush_ms", 3600000, "handed", b->handed);
}

/* The ledger's descriptor 3 leads to us. */
static inline void
bench_start(struct bench *b)
{
	json_t *config = bench_config(b);
	int pair[2];
	struct err e = {""};

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	b->master = fcntl(pair[0], F_DUPFD_CLOEXEC, 10);
	close(pair[0]);
	if (pair[1] != WIRE_FD) {
		assert_int_equal(dup2(pair[1], WIRE_FD), WIRE_FD);
		close(pair[1]);
	}
	memset(&b->l, 0, sizeof(b->l));
	b->l.tick_fd = b->l.clock_fd = b->l.segments.dir_fd = -1;
	wire_take_log(&b->l.wire);
	if (ledger_open(&b->l, config, &e) < 0)
		fail_msg("%s", e.text);
	json_decref(config);
}

static inline void
bench_stop(struct bench *b)
{
	ledger_close(&b->l);
	close(WIRE_FD);
	close(b->master);
}

/* What it has said since the last time. */
static inline const char *
bench_said(struct bench *b)
{
	ssize_t n = recv(b->master, b->said, sizeof(b->said) - 1, MSG_DONTWAIT);

	b->said[n > 0 ? n : 0] = '\0';
	return b->said;
}

static inline void
bench_begin(struct bench *b)
{
	b->handed = 0;
	strcpy(b->dir, "/tmp/shoal-ledger-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	bench_start(b);
}

static inline void
bench_end(struct bench *b)
{
	char path[512];
	DIR *d = opendir(b->dir);
	const struct dirent *entry;

	bench_stop(b);
	while ((entry = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", b->dir, entry->d_name);
		unlink(path);
	}
	closedir(d);
	assert_int_equal(rmdir(b->dir), 0);
}

/* A worker's segment. */
static inline void
bench_worker(struct bench *b, struct acct *a, unsigned slot, unsigned rows)
{
	const unsigned id[3] = {slot, 1, 1};
	int dir = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	struct err e = {""};

	if (acct_create(a, dir, rows, id, &fd, &e) < 0 || acct_begin(a, &e) < 0)
		fail_msg("%s", e.text);
	close(fd);
	close(dir);
}

static inline void
bench_count(struct acct *a, const char *account, uint64_t requests, uint64_t body)
{
	uint64_t add[ACCT_COLUMNS] = {[ACCT_requests] = requests, [ACCT_out_body] = body};

	acct_commit(a, acct_row_find(a, account, strlen(account)), add);
}

static inline void
bench_flush(struct bench *b)
{
	if (ledger_flush(&b->l, true) < 0)
		fail_msg("%s", b->l.why);
}

/* A number of the database. */
static inline int64_t
bench_number(struct bench *b, const char *sql)
{
	sqlite3_stmt *q;
	struct err e = {""};
	int64_t v;

	if (store_prepare(&b->l.store, &q, sql, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	v = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return v;
}

static inline int64_t
bench_bytes(struct bench *b, const char *account)
{
	char sql[200];

	snprintf(sql, sizeof(sql), "SELECT total(out_body) FROM usage WHERE account='%s'",
	    account);
	return bench_number(b, sql);
}

typedef json_t *bench_fn(struct ledger *l, const json_t *params, struct fault *f);

/* Calls a method with parameters as JSON; the fault is in *f when it is NULL. */
static inline json_t *
bench_call(struct bench *b, bench_fn *fn, const char *params, struct fault *f)
{
	json_t *p = json_loads(params, 0, NULL), *v;

	assert_non_null(p);
	*f = (struct fault){0};
	v = fn(&b->l, p, f);
	json_decref(p);
	return v;
}
