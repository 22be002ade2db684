/* Several preflights side by side, and what their refusals say.
 * SPDX-License-Identifier: MIT */
#include "master/checker.h"

#include <stdio.h>

struct check {
	struct check *next;
	struct preflight preflight;
	checker_fn *on_done;
	void *ctx;
};

static void
on_read(void *ctx, const struct preflight_result *r)
{
	struct check *k = ctx;

	k->on_done(k->ctx, r);
}

static void
destroy(struct check *k)
{
	preflight_finish(&k->preflight);
	free(k);
}

int
checker_start(
    struct checker *c, const char *file, checker_fn *on_done, void *ctx, struct err *e)
{
	struct check *k;
	unsigned n = 0;

	for (k = c->running; k != NULL; k = k->next)
		n++;
	if (n >= CHECKER_MAX)
		return err_set(e, "%u configurations are being read already", n);
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return err_set(e, "out of memory");
	preflight_init(&k->preflight);
	k->preflight.on_done = on_read;
	k->preflight.ctx = k;
	k->on_done = on_done;
	k->ctx = ctx;
	if (preflight_start(&k->preflight, c->base, c->argc, c->argv, file, e) < 0) {
		destroy(k);
		return -1;
	}
	k->next = c->running;
	c->running = k;
	return 0;
}

bool
checker_reap(struct checker *c, pid_t pid, int status)
{
	for (struct check **at = &c->running; *at != NULL; at = &(*at)->next) {
		struct check *k = *at;

		if (k->preflight.pid != pid)
			continue;
		/* Out of the list first: on_done may start the next one, or forget. */
		*at = k->next;
		(void)preflight_reap(&k->preflight, pid, status);
		destroy(k);
		return true;
	}
	return false;
}

void
checker_forget(struct checker *c, void *ctx)
{
	for (struct check **at = &c->running; *at != NULL;) {
		struct check *k = *at;

		if (k->ctx != ctx) {
			at = &k->next;
			continue;
		}
		*at = k->next;
		destroy(k);
	}
}

void
checker_finish(struct checker *c)
{
	while (c->running != NULL) {
		struct check *k = c->running;

		c->running = k->next;
		destroy(k);
	}
}

/* "--max-requests "x" (shop.json:3:14): ..." -> max_requests */
static void
copy_key(const char *why, char key[CHECKER_KEY_MAX])
{
	size_t n = 0;

	for (why += 2; n + 1 < CHECKER_KEY_MAX; why++, n++) {
		if (*why == '-')
			key[n] = '_';
		else if (*why == '_' || (*why >= 'a' && *why <= 'z'))
			key[n] = *why;
		else
			break;
	}
	key[n] = '\0';
}

void
checker_find_place(const char *why, struct checker_place *place)
{
	*place = (struct checker_place){.key = ""};
	if (strncmp(why, "--", 2) == 0)
		copy_key(why, place->key);
	else
		(void)!sscanf(why, "unknown key \"%63[^\"]", place->key);
	for (const char *at = why; (at = strchr(at, ':')) != NULL; at++) {
		int line, column, n = 0;

		if (sscanf(at, ":%6d:%6d%n", &line, &column, &n) != 2 || line <= 0 ||
		    column <= 0 || at[1] == ' ')
			continue;
		/* One in parentheses is it; before that a value may look like one. */
		if (place->line != 0 && at[n] != ')')
			continue;
		place->line = line;
		place->column = column;
		if (at[n] == ')')
			return;
	}
}
