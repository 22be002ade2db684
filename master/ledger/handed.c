/* Tables of accounts that are in no directory, since it has no room: the master hands their
 * memory over, and when it is killed the ledger alone can see them to their end.
 * SPDX-License-Identifier: MIT */
#include "common/handing.h"
#include "common/log.h"
#include "master/ledger/ledger.h"

#include <poll.h>

/* Longer than any sensible --graceful-timeout; the next instance's ledger waits for the
 * database meanwhile. */
#define OUTLIVE_MS 900000
#define LOOK_MS 500

void
ledger_take_table(struct ledger *l, const json_t *line)
{
	const char *name = ledger_param_text(json_object_get(line, "params"), "name", "");
	int fd = wire_take_fd(&l->wire);
	struct err e = {""};

	if (fd < 0)
		err_set(&e, "no descriptor came with it");
	else if (segments_hand(&l->segments, name, fd, &e) == 0)
		return;
	/* The master hands everything to the next ledger. */
	log_error(
	    "ledger", "a table cannot be taken", "name=%s reason=\"%s\"", name, e.text);
	l->wire.broken = true;
}

/* Completes it when its worker is gone. Otherwise that worker's pidfd. */
static int
see_to(struct segment *s)
{
	struct acct table;
	struct err e;
	int fd;

	if (s->fd < 0 || atomic_load(&s->acct.head->state) == ACCT_CLOSED)
		return -1;
	fd = acct_writer_open(&s->acct);
	if (fd >= 0)
		return fd;
	if (acct_open(&table, s->fd, ACCT_WRITE, &e) == 0) {
		acct_replay(&table);
		acct_close(&table);
	}
	return -1;
}

/* Until one of the workers ends, or for a moment. */
static void
wait_for_workers(struct ledger *l)
{
	struct pollfd one = {.fd = -1, .events = POLLIN};

	for (size_t i = 0; i < l->segments.n; i++) {
		int fd = see_to(l->segments.v[i]);

		if (one.fd < 0)
			one.fd = fd;
		else if (fd >= 0)
			close(fd);
	}
	(void)poll(&one, 1, LOOK_MS);
	if (one.fd >= 0)
		close(one.fd);
}

void
ledger_outlive_master(struct ledger *l)
{
	int64_t end = ledger_boot_ms() + OUTLIVE_MS;

	if (!wire_is_orphaned())
		return;
	while (segments_in_memory(&l->segments) > 0 && ledger_boot_ms() < end) {
		wait_for_workers(l);
		(void)!ledger_flush(l, false);
	}
}
