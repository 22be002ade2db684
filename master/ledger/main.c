/* shoal-ledger: puts what was counted in shared memory on disk. A child of the master,
 * which it talks to on descriptor 3; the end of that stream is its order to flush and go.
 * SPDX-License-Identifier: MIT */
#include "common/log.h"
#include "master/ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>

static bool configured;

static void
on_line(void *ctx, json_t *line)
{
	struct ledger *l = ctx;
	struct err e = {""};

	if (configured) {
		if (json_object_get(line, "id") == NULL)
			ledger_take_table(l, line);
		else
			ledger_answer(l, line);
		return;
	}
	configured = true;
	if (ledger_open(l, line, &e) < 0) {
		log_error("ledger", "cannot start", "reason=\"%s\"", e.text);
		l->ending = true;
		return;
	}
	wire_send(&l->wire, json_pack("{s:b}", "ready", true));
}

static bool
expired(int fd)
{
	uint64_t times;

	return read(fd, &times, sizeof(times)) == sizeof(times);
}

static void
run(struct ledger *l)
{
	while (!l->ending && !l->wire.broken) {
		struct pollfd fds[] = {
		    {.fd = WIRE_FD, .events = POLLIN},
		    {.fd = l->tick_fd, .events = POLLIN},
		    {.fd = l->clock_fd, .events = POLLIN},
		};

		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			return;
		if (fds[0].revents != 0 && wire_read(&l->wire, on_line, l) < 0)
			return;
		/* Fails with ECANCELED when the clock was set: the one thing it is for. */
		if (fds[2].revents != 0 && !expired(l->clock_fd))
			ledger_on_clock(l);
		if (fds[1].revents != 0 && expired(l->tick_fd))
			(void)!ledger_flush(l, false);
	}
}

static int
finish(struct ledger *l)
{
	/* What a killed master had said before that was not read yet. */
	while (wire_is_orphaned() && wire_read(&l->wire, on_line, l) == 0)
		;
	if (!configured)
		return EXIT_SUCCESS;
	ledger_outlive_master(l);
	return ledger_flush(l, false) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	static struct ledger l = {.tick_fd = -1, .clock_fd = -1};
	int code = EXIT_SUCCESS;

	if (argc > 1 || fcntl(WIRE_FD, F_GETFD) < 0) {
		fprintf(stderr,
		    "%s is started by shoal, with --ledger; see shoal-ledger(8).\n",
		    argc > 0 ? argv[0] : "shoal-ledger");
		return LEDGER_EXIT_CONFIG;
	}
	/* A terminal's and a service manager's signals reach the whole group; the last
	 * worker has to be gone before the last flush, and the master says when. */
	signal(SIGINT, SIG_IGN);
	/* Who used how much is nobody else's business. */
	umask(077);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	prctl(PR_SET_NAME, "shoal-ledger");
	l.segments.dir_fd = -1;
	wire_take_log(&l.wire);
	run(&l);
	code = l.ending ? LEDGER_EXIT_CONFIG : finish(&l);
	ledger_close(&l);
	return code;
}
