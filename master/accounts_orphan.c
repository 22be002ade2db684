/* Looks through the directory of tables. A worker of a master that was killed finishes what
 * it has in hand before it ends; it is nobody's child that could be reaped, so its pidfd
 * says when. SPDX-License-Identifier: MIT */
#include "master/accounts_orphan.h"

#include "common/log.h"
#include "master/accounts.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>

#define ORPHANS_MAX 4096

struct orphan {
	struct accounts *accounts; /* borrowed */
	struct orphan *next;
	struct accounts_table table;
	struct event *gone; /* owned */
	int pid_fd;         /* owned */
};

static void
orphan_free(struct orphan *o)
{
	if (o->gone != NULL)
		event_free(o->gone);
	if (o->pid_fd >= 0)
		close(o->pid_fd);
	accounts_table_close(&o->table);
	free(o);
}

static void
complete(struct orphan *o)
{
	const struct acct_head *h = o->table.acct.head;

	acct_replay(&o->table.acct);
	accounts_look(o->accounts, &o->table);
	log_info("accounts", "counts of a worker of the master before are complete",
	    "slot=%u pid=%d", h->slot, (int)h->pid);
}

static void
on_gone(evutil_socket_t fd, short what, void *arg)
{
	struct orphan *o = arg;
	struct orphan **at = &o->accounts->orphans;

	(void)fd;
	(void)what;
	complete(o);
	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	orphan_free(o);
}

/* True: it is kept in the list. */
static bool
wait_for_writer(struct orphan *o)
{
	o->pid_fd = acct_writer_open(&o->table.acct);
	if (o->pid_fd < 0)
		return false;
	o->gone = event_new(o->accounts->base, o->pid_fd, EV_READ, on_gone, o);
	if (o->gone == NULL || event_add(o->gone, NULL) < 0)
		return false;
	o->next = o->accounts->orphans;
	o->accounts->orphans = o;
	return true;
}

static void
look_at(struct accounts *a, const char *name)
{
	AUTO_FD int fd =
	    openat(a->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct orphan *o = calloc(1, sizeof(*o));
	struct err e = {""};

	if (o == NULL)
		return;
	o->accounts = a;
	o->pid_fd = -1;
	if (fd < 0 || acct_open(&o->table.acct, fd, ACCT_WRITE, &e) < 0) {
		log_warn("accounts", "a file in the accounts' directory is no table",
		    "name=%s reason=\"%s\"", name, fd < 0 ? strerror(errno) : e.text);
		orphan_free(o);
		return;
	}
	if (atomic_load(&o->table.acct.head->state) == ACCT_CLOSED) {
		orphan_free(o); /* the ledger's */
		return;
	}
	if (wait_for_writer(o))
		return;
	complete(o);
	orphan_free(o);
}

void
orphans_find(struct accounts *a)
{
	int fd = openat(a->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (int n = 0; n < ORPHANS_MAX && (d = readdir(dir)) != NULL;)
		if (strncmp(d->d_name, "seg-", 4) == 0) {
			look_at(a, d->d_name);
			n++;
		}
	closedir(dir);
}

void
orphans_forget(struct accounts *a)
{
	while (a->orphans != NULL) {
		struct orphan *o = a->orphans;

		a->orphans = o->next;
		orphan_free(o);
	}
}
