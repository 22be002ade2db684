/* The workers: as many as wanted; a dead one is replaced, the others never suffer for it.
 * SPDX-License-Identifier: MIT */
#include "master/fleet.h"

#include "common/board.h"
#include "common/log.h"
#include "master/slot.h"

#include <errno.h>
#include <sys/wait.h>

static struct slot *
get_slot(struct fleet *f, unsigned i)
{
	if (f->slots[i] == NULL)
		f->slots[i] = slot_create(f, i);
	return f->slots[i];
}

int
fleet_start(struct fleet *f, unsigned n, struct err *e)
{
	f->wanted = n;
	f->board = board_create(&f->spawn.board_fd, e);
	if (f->board == NULL)
		return -1;
	for (unsigned i = 0; i < n; i++) {
		struct slot *s = get_slot(f, i);

		if (s == NULL)
			return err_set(e, "out of memory");
		slot_start_in(s, 0);
	}
	/* Children that were there before us, and whose SIGCHLD is long past. */
	fleet_reap(f);
	return 0;
}

void
fleet_finish(struct fleet *f)
{
	for (unsigned i = 0; i < FLEET_MAX; i++) {
		slot_destroy(f->slots[i]);
		f->slots[i] = NULL;
	}
	if (f->board != NULL)
		close(f->spawn.board_fd);
	board_close(TAKE_PTR(f->board));
}

static unsigned
count(const struct fleet *f, enum slot_state lowest, enum slot_state highest)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FLEET_MAX; i++)
		if (f->slots[i] && f->slots[i]->state >= lowest &&
		    f->slots[i]->state <= highest)
			n++;
	return n;
}

unsigned
fleet_count_ready(const struct fleet *f)
{
	return count(f, SLOT_READY, SLOT_READY);
}

static void
check_gone(struct fleet *f)
{
	if (f->stopping && count(f, SLOT_WAITING, SLOT_ENDING) == 0)
		f->events.on_gone(f->events.ctx);
}

void
fleet_slot_ready(struct fleet *f, struct slot *s)
{
	f->ever_ready = true;
	f->events.on_ready(f->events.ctx, s->index, s->pid);
}

void
fleet_slot_failed(struct fleet *f, struct str text, bool refused)
{
	if (f->stopping)
		return;
	if (!f->ever_ready && !f->load_failed) {
		f->load_failed = true;
		f->events.on_load_failed(f->events.ctx, text, refused);
		return;
	}
	log_text(LOG_LVL_ERROR, "master", "application not loaded", text);
}

void
fleet_scale(struct fleet *f, int by)
{
	struct slot *s;

	if (f->stopping || (by > 0 && f->wanted == FLEET_MAX) ||
	    (by < 0 && f->wanted == 1)) {
		log_warn("master", "number of workers stays", "workers=%u", f->wanted);
		return;
	}
	s = get_slot(f, by > 0 ? f->wanted : f->wanted - 1);
	if (s == NULL) {
		log_error("master", "out of memory", NULL);
		return;
	}
	f->wanted += by > 0 ? 1 : -1u;
	log_info("master", "number of workers changed", "workers=%u", f->wanted);
	if (by < 0)
		slot_drain(s, f->heritage->conf.graceful_timeout);
	else if (s->state == SLOT_EMPTY)
		slot_start_in(s, 0);
}

void
fleet_stop(struct fleet *f, int64_t graceful_ms)
{
	f->stopping = true;
	for (unsigned i = 0; i < FLEET_MAX; i++)
		if (f->slots[i] != NULL)
			slot_drain(f->slots[i], graceful_ms);
	check_gone(f);
}

void
fleet_stop_now(struct fleet *f)
{
	f->stopping = true;
	for (unsigned i = 0; i < FLEET_MAX; i++)
		if (f->slots[i] != NULL)
			slot_end(f->slots[i]);
	check_gone(f);
}

static struct slot *
find_slot(struct fleet *f, pid_t pid)
{
	for (unsigned i = 0; i < FLEET_MAX; i++)
		if (f->slots[i] != NULL && f->slots[i]->pid == pid)
			return f->slots[i];
	return NULL;
}

void
fleet_reap(struct fleet *f)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct slot *s = find_slot(f, pid);
		int64_t wait;

		if (s == NULL) {
			log_debug("master", "stranger reaped", "pid=%d", (int)pid);
			continue;
		}
		wait = slot_reap(s, status);
		if (!f->stopping && s->index < f->wanted)
			slot_start_in(s, wait);
	}
	check_gone(f);
}

void
fleet_reopen(struct fleet *f)
{
	const int fds[2] = {f->spawn.logs->access_fd, f->spawn.logs->error_fd};

	for (unsigned i = 0; i < FLEET_MAX; i++) {
		struct slot *s = f->slots[i];

		if (s != NULL && s->channel >= 0 &&
		    msg_send(s->channel, MSG_REOPEN, NULL, 0, fds, 2) < 0)
			log_warn("master", "worker cannot be told to reopen its logs",
			    "slot=%u pid=%d", s->index, (int)s->pid);
	}
}
