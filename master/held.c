/* Tables of accounts that are in no directory. SPDX-License-Identifier: MIT */
#include "master/held.h"

#include "common/acct_spare.h"

#include <fcntl.h>
#include <stdio.h>

/* At the end of the list: a ledger gets first what the one before may have known. */
static int
append(struct held *h, const char *name, int fd, struct err *e)
{
	struct held_table *t = calloc(1, sizeof(*t)), **at = &h->v;

	if (t == NULL)
		return err_set(e, "out of memory");
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->fd = fd;
	while (*at != NULL)
		at = &(*at)->next;
	*at = t;
	return 0;
}

static void
destroy(struct held_table *t)
{
	close(t->fd);
	free(t);
}

void
held_finish(struct held *h)
{
	while (h->v != NULL) {
		struct held_table *t = h->v;

		h->v = t->next;
		destroy(t);
	}
}

int
held_add(struct held *h, const char *name, int fd, struct err *e)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (own < 0)
		return err_errno(e, "accounts: a table in memory");
	if (append(h, name, own, e) < 0) {
		close(own);
		return -1;
	}
	held_tell(h);
	return 0;
}

void
held_tell(struct held *h)
{
	if (h->hand == NULL)
		return;
	for (struct held_table *t = h->v; t != NULL; t = t->next) {
		if (!t->told)
			t->told = h->hand(h->ctx, t->name, t->fd);
		if (!t->told)
			return; /* in their order */
	}
}

size_t
held_forget_told(struct held *h)
{
	for (struct held_table *t = h->v; t != NULL; t = t->next)
		t->told = false;
	return held_count(h);
}

void
held_drop(struct held *h, const char *name)
{
	for (struct held_table **at = &h->v; *at != NULL; at = &(*at)->next) {
		struct held_table *t = *at;

		if (strcmp(t->name, name) != 0)
			continue;
		*at = t->next;
		destroy(t);
		return;
	}
}

size_t
held_save(struct held *h, int dir_fd)
{
	size_t lost = 0;
	struct err e;

	for (struct held_table *t = h->v; t != NULL; t = t->next)
		lost += dir_fd < 0 || acct_spare_fill(dir_fd, t->fd, t->name, &e) < 0;
	return lost;
}

size_t
held_count(const struct held *h)
{
	size_t n = 0;

	for (const struct held_table *t = h->v; t != NULL; t = t->next)
		n++;
	return n;
}

void
held_set_full(struct held *h, const char *why, size_t needed)
{
	if (h->short_of_room)
		return;
	h->short_of_room = true;
	if (h->on_full != NULL)
		h->on_full(h->ctx, why, needed);
}

void
held_set_room(struct held *h)
{
	if (!h->short_of_room)
		return;
	h->short_of_room = false;
	if (h->on_room != NULL)
		h->on_room(h->ctx);
}

json_t *
held_to_json(const struct held *h)
{
	json_t *all = json_array();

	for (const struct held_table *t = h->v; t != NULL; t = t->next)
		json_array_append_new(
		    all, json_pack("{s:s, s:i}", "name", t->name, "fd", t->fd));
	return json_pack("{s:b, s:o}", "short_of_room", h->short_of_room, "tables", all);
}

int
held_restore(struct held *h, const json_t *from, struct err *e)
{
	size_t i;
	json_t *one;

	h->short_of_room = json_is_true(json_object_get(from, "short_of_room"));
	json_array_foreach(json_object_get(from, "tables"), i, one)
	{
		const char *name = json_string_value(json_object_get(one, "name"));
		json_int_t fd = json_integer_value(json_object_get(one, "fd"));

		if (name == NULL || fd <= STDERR_FILENO || fd > INT32_MAX ||
		    fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
			return err_set(e, "accounts: a table in memory is not there");
		if (append(h, name, (int)fd, e) < 0)
			return -1;
	}
	return 0;
}
