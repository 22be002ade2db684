/* The master: opens what workers need, keeps them running, ends them.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/heritage.h"
#include "master/events.h"
#include "master/fleet.h"
#include "master/job.h"
#include "master/listeners.h"
#include "master/logs.h"
#include "master/pidfile.h"
#include "master/privs.h"
#include "master/python.h"
#include "master/selfcount.h"
#include "master/signals.h"

enum master_exit {
	EXIT_STOPPED = 0,
	EXIT_BROKEN = 1,   /* failed while running */
	EXIT_CONFIG = 2,   /* usage or configuration */
	EXIT_NO_APP = 3,   /* the application could not be loaded at the first start */
	EXIT_NO_LISTEN = 4 /* a listener could not be opened */
};

struct books;
struct chores;
struct ctl;
struct event_base;
struct gate;
struct minder;
struct reload;
struct statsd;
struct upgrade;
struct watch;

struct master {
	int argc;                 /* the command line, read again by a reload */
	char **argv;              /* owned */
	struct heritage heritage; /* owns the configuration the instance was started with */
	json_t
	    *adopted; /* owned; what the master before left, while starting; NULL: none */
	bool check;   /* --check-config: load the application, serve nobody */
	char bin_dir[900]; /* of the running binary, links resolved */
	char worker_path[1024];
	struct privs privs;
	struct logs logs;
	char **env; /* owned */
	struct python python;
	struct listeners listeners;
	int listener_fds[LISTENERS_MAX];
	struct pidfile pidfile;
	struct event_base *base; /* owned */
	struct signals signals;
	struct fleet fleet;
	struct accounts accounts;
	struct held held; /* tables of accounts that are in no directory */
	struct events events;
	struct jobs jobs;
	struct selfcount self;
	struct statsd *statsd;   /* owned; NULL: none is told */
	struct books *books;     /* owned; NULL: no ledger */
	struct ctl *ctl;         /* owned; NULL: no control socket */
	struct gate *gate;       /* owned; NULL: no control socket */
	struct reload *reload;   /* owned */
	struct minder *minder;   /* owned */
	struct chores *chores;   /* owned */
	struct upgrade *upgrade; /* owned */
	struct watch *watch;     /* owned; NULL: without --reload */
	unsigned last_generation;
	double started; /* Unix time; the first binary's */
	bool up;        /* a worker has been ready */
	bool stopping;
	enum master_exit exit_code;
};

/* The whole life of the process; returns its exit code. */
int master_main(int argc, char **argv);

/* TERM, INT: finish what is in hand; the second time: at once. */
void master_stop(struct master *m);
void master_stop_within(struct master *m, int64_t graceful_ms);
void master_stop_now(struct master *m);
void master_reopen_logs(struct master *m);
/* The same, for who wants to know: on failure the old files stay. */
NODISCARD int master_renew_logs(struct master *m, struct err *e);
/* The configuration of the generation that serves. Borrowed, until the next reload. */
const struct conf *master_conf(const struct master *m);
/* HUP and changed files: a reload with what the options say; while one runs, another
 * follows it. who: "SIGHUP", "file watch". */
void master_reload(struct master *m, const char *who);
