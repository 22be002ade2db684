/* A worker that only keeps to the descriptor and channel contract, and breaks it on demand:
 * what the master's own tests put in the place of shoal-worker.
 *
 * The environment says what it does. FAKE_WORKER is a list of words, FAKE_WORKER_<slot>
 * and FAKE_WORKER_EPOCH_<epoch> override it. FAKE_DIR is where facts are written.
 * SPDX-License-Identifier: MIT */
#include "common/heritage.h"
#include "common/msg.h"
#include "common/seg.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

static struct heritage heritage;
static struct seg *seg;
static struct msg msg;

static const char *
words(void)
{
	char name[64];
	const char *v;

	snprintf(name, sizeof(name), "FAKE_WORKER_EPOCH_%u", heritage.epoch);
	v = getenv(name);
	snprintf(name, sizeof(name), "FAKE_WORKER_%u", heritage.slot);
	v = v ? v : getenv(name);
	v = v ? v : getenv("FAKE_WORKER");
	return v ? v : "";
}

static bool
asked(const char *word)
{
	const char *p = words();
	size_t n = strlen(word);

	for (; p != NULL && *p != '\0'; p = strchr(p, ' '), p = p ? p + 1 : NULL)
		if (strncmp(p, word, n) == 0 && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

static void
write_facts(void)
{
	const char *dir = getenv("FAKE_DIR");
	char path[1024], tmp[1100];
	mode_t mask = umask(0);
	json_t *names = json_array();
	json_t *facts;

	umask(mask);
	if (dir == NULL)
		return;
	for (size_t i = 0; i < heritage.n_listeners; i++)
		json_array_append_new(names, json_string(heritage.listeners[i].name));
	facts =
	    json_pack("{s:i, s:i, s:i, s:i, s:s, s:s, s:s, s:o, s:i}", "pid", (int)getpid(),
		"slot", (int)heritage.slot, "epoch", (int)heritage.epoch, "workers",
		(int)heritage.workers, "python", heritage.python, "plugin", heritage.plugin,
		"libpython", heritage.libpython, "listeners", names, "umask", (int)mask);
	snprintf(
	    path, sizeof(path), "%s/worker-%u-%u.json", dir, heritage.slot, heritage.epoch);
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	if (json_dump_file(facts, tmp, 0) == 0)
		rename(tmp, path);
	json_decref(facts);
}

/* A request as a crashed worker leaves it behind, with what a hostile client may send. */
static void
begin_request(void)
{
	static const char target[] = "/path\n[CRITICAL] forged \"\x1b[2J";
	struct seg_inflight *f = &seg->inflight[7];

	memcpy(f->method, "GETGETGETGETGETG", sizeof(f->method));
	memcpy(f->target, target, sizeof(target) - 1);
	f->target_len = asked("longer") ? UINT32_MAX : sizeof(target) - 1;
	f->started_ns = 1;
	f->peer.in = (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons(4711),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	atomic_store(&f->state, INFLIGHT_APP);
	atomic_store(&seg->inflight[8].state, 4711);
}

static void
before_ready(void)
{
	if (asked("fail")) {
		const char *text = "Traceback (most recent call last):\n"
				   "  File \"app.py\", line 1, in <module>\n"
				   "ImportError: no such thing\n";

		(void)!msg_send(
		    HERITAGE_CHANNEL_FD, MSG_FAILED, text, strlen(text), NULL, 0);
		_exit(3);
	}
	if (asked("exit"))
		_exit(7);
	if (asked("abort"))
		raise(SIGABRT);
	if (asked("hang"))
		for (;;)
			pause();
}

static void
report_overdue(void)
{
	static const char text[] = "GET /caf\xe9?\xff\x1b[2J\nin \"here\"\n\tline";

	(void)!msg_send(HERITAGE_CHANNEL_FD, MSG_OVERDUE, text, sizeof(text) - 1, NULL, 0);
}

static void
finish(void)
{
	(void)!msg_send(HERITAGE_CHANNEL_FD, MSG_DRAINED, NULL, 0, NULL, 0);
	_exit(0);
}

static void
on_term(int sig)
{
	(void)sig;
	_exit(0);
}

static void
on_message(void)
{
	if (msg.type == MSG_REOPEN) {
		for (size_t i = 0; i < msg.n_fds; i++) {
			dprintf(msg.fds[i], "reopened %zu\n", i);
			close(msg.fds[i]);
		}
		return;
	}
	if (asked("stubborn"))
		return;
	if (msg.type == MSG_QUIT)
		_exit(0);
	if (msg.type == MSG_DRAIN && asked("crash-in-drain"))
		raise(SIGABRT);
	if (msg.type == MSG_DRAIN)
		finish();
}

static void
serve(void)
{
	for (;;) {
		struct pollfd p = {.fd = HERITAGE_CHANNEL_FD, .events = POLLIN};
		int rc;

		if (poll(&p, 1, -1) < 0)
			continue;
		rc = msg_recv(HERITAGE_CHANNEL_FD, &msg);
		if (rc > 0)
			on_message();
		else if (rc == 0 || errno != EAGAIN)
			finish();
	}
}

int
main(void)
{
	struct err e = {""};

	if (heritage_read(&heritage, HERITAGE_CONF_FD, &e) < 0 ||
	    (seg = seg_open(HERITAGE_SEG_FD, &e)) == NULL) {
		fprintf(stderr, "fake worker: %s\n", e.text);
		return 9;
	}
	signal(SIGTERM, asked("stubborn") ? SIG_IGN : on_term);
	write_facts();
	before_ready();
	if (asked("garbage")) {
		(void)!send(HERITAGE_CHANNEL_FD, "x", 1, 0);
		(void)!msg_send(HERITAGE_CHANNEL_FD, MSG_QUIT, "?", 1, NULL, 0);
	}
	if (asked("request"))
		begin_request(); /* tests kill it as soon as it is ready */
	(void)!msg_send(HERITAGE_CHANNEL_FD, MSG_READY, NULL, 0, NULL, 0);
	if (asked("overdue"))
		report_overdue();
	if (asked("die"))
		return 7;
	if (asked("close-channel"))
		close(HERITAGE_CHANNEL_FD);
	if (asked("close-channel") || asked("deaf")) {
		for (;;)
			pause();
	}
	serve();
}
